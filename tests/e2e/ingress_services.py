"""The services that the ingress's tests call, as an endpoint of their own."""

from datetime import timedelta
from typing import Final

import restate
from restate.serde import BytesSerde

service: Final = restate.Service("Contract")
virtual_object: Final = restate.VirtualObject("ContractObject")
workflow: Final = restate.Workflow("ContractWorkflow")
private: Final = restate.Service("ContractPrivate", ingress_private=True)


@service.handler()
async def echo(ctx: restate.Context, value: str) -> str:
    return value


@service.handler()
async def empty(ctx: restate.Context) -> None:
    return None


@service.handler(accept="*/*", content_type="text/plain", input_serde=BytesSerde(), output_serde=BytesSerde())
async def raw(ctx: restate.Context, value: bytes) -> bytes:
    return value


@service.handler()
async def path(ctx: restate.Context) -> str:
    return ctx.request().headers["x-restate-ingress-path"]


@service.handler()
async def headers(ctx: restate.Context) -> list[tuple[str, str]]:
    return list(ctx.request().headers.items())


@service.handler()
async def fail(ctx: restate.Context, code: int) -> str:
    raise restate.TerminalError("told to fail", status_code=code)


@service.handler()
async def wait(ctx: restate.Context) -> str:
    await ctx.sleep(timedelta(seconds=1))
    return "waited"


@service.handler()
async def await_outside(ctx: restate.Context, key: str) -> str:
    awakeable, outcome = ctx.awakeable(type_hint=str)
    ctx.object_send(note_awakeable, key=key, arg=awakeable)
    return await outcome


@service.handler(ingress_private=True)
async def hidden(ctx: restate.Context) -> str:
    return "hidden"


@virtual_object.handler()
async def key(ctx: restate.ObjectContext) -> str:
    return ctx.key()


@virtual_object.handler()
async def note_awakeable(ctx: restate.ObjectContext, awakeable: str) -> None:
    ctx.set("awakeable", awakeable)
    if waiter := await ctx.get("waiter", type_hint=str):
        ctx.resolve_awakeable(waiter, awakeable)


@virtual_object.handler()
async def leave_waiter(ctx: restate.ObjectContext, waiter: str) -> None:
    ctx.set("waiter", waiter)
    if awakeable := await ctx.get("awakeable", type_hint=str):
        ctx.resolve_awakeable(waiter, awakeable)


@virtual_object.handler(kind="shared")
async def wait_for_awakeable(ctx: restate.ObjectSharedContext) -> str:
    """Return the noted awakeable, however late it is noted."""
    waiter, noted = ctx.awakeable(type_hint=str)
    ctx.object_send(leave_waiter, key=ctx.key(), arg=waiter)
    return await noted


@private.handler()
async def hello(ctx: restate.Context) -> str:
    return "hello"


@workflow.main()
async def run(ctx: restate.WorkflowContext) -> str:
    return "ran"


@workflow.handler()
async def shared(ctx: restate.WorkflowSharedContext) -> str:
    return ctx.key()


app: Final = restate.app([service, virtual_object, workflow, private])
