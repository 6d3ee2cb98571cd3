"""Services whose invocations leave one of everything behind that SQL shows. ASGI app: `app`.

What a handler does outside of the server is a line in the file `EFFECTS_FILE`.
"""

import os
from datetime import timedelta

import restate

PREFIX = os.environ.get("SERVICE_PREFIX", "")
EFFECTS = os.open(os.environ.get("EFFECTS_FILE", os.devnull), os.O_WRONLY | os.O_APPEND)

stock = restate.VirtualObject(f"{PREFIX}Stock")
attic = restate.VirtualObject(f"{PREFIX}Attic", enable_lazy_state=True)
desk = restate.Service(f"{PREFIX}Desk")
order = restate.Workflow(f"{PREFIX}Order")
nap = restate.Service(f"{PREFIX}Nap", inactivity_timeout=timedelta(milliseconds=100))
stubborn = restate.Service(
    f"{PREFIX}Stubborn",
    invocation_retry_policy=restate.InvocationRetryPolicy(
        initial_interval=timedelta(milliseconds=10), exponentiation_factor=1.0, max_attempts=2, on_max_attempts="pause"
    ),
)


def effect(tag: str, what: str) -> None:
    os.write(EFFECTS, f"{tag} {what}\n".encode())


@stock.handler()
async def change(ctx: restate.ObjectContext, amount: int) -> int:
    value = (await ctx.get("value", type_hint=int) or 0) + amount
    ctx.set("value", value)
    ctx.set("name", "naïve")
    ctx.clear("nothing")
    await ctx.state_keys()
    return value


@stock.handler()
async def keep(ctx: restate.ObjectContext, tag: str) -> str:
    """Hold the object until the awakeable that is told under `tag` is completed."""
    name, value = ctx.awakeable(type_hint=str)
    await ctx.run_typed("tell", effect, restate.RunOptions(), tag, name)
    return await value


@attic.handler()
async def rummage(ctx: restate.ObjectContext, item: str) -> str | None:
    """State commands of an object whose state does not come with the request."""
    ctx.set("item", item)
    await ctx.state_keys()
    await ctx.get("other", type_hint=str)
    ctx.clear_all()
    return item


@desk.handler()
async def errands(ctx: restate.Context, key: str) -> list[int | str]:
    """Commands towards other invocations."""
    total = await ctx.object_call(change, key=key, arg=1)
    sent = await ctx.object_send(change, key=key, arg=1, idempotency_key="sent").invocation_id()
    later = await ctx.object_send(change, key=f"{key}-later", arg=1, send_delay=timedelta(hours=1)).invocation_id()
    await ctx.attach_invocation(sent, type_hint=int)
    await ctx.sleep(timedelta(milliseconds=1), name="a short rest")
    name, value = ctx.awakeable(type_hint=str)
    ctx.resolve_awakeable(name, "yes")
    ctx.cancel_invocation(later)
    return [total, await value]


@desk.handler()
async def refuse(ctx: restate.Context, message: str) -> None:
    raise restate.TerminalError(message, status_code=409)


@desk.handler()
async def doze(ctx: restate.Context, milliseconds: int) -> None:
    await ctx.sleep(timedelta(milliseconds=milliseconds))


@nap.handler("take")
async def take_nap(ctx: restate.Context, milliseconds: int) -> None:
    await ctx.sleep(timedelta(milliseconds=milliseconds))


@stubborn.handler()
async def stumble(ctx: restate.Context, message: str) -> None:
    await ctx.run_typed("first", effect, restate.RunOptions(), "stubborn", message)
    raise ValueError(message)


@order.main()
async def run(ctx: restate.WorkflowContext, name: str) -> str:
    ctx.set("name", name)
    await ctx.promise("placed", type_hint=str).resolve("now")
    effect(ctx.key(), "placed")
    return f"{name} {await ctx.promise('paid', type_hint=str).value()}"


@order.handler()
async def pay(ctx: restate.WorkflowSharedContext, amount: str) -> str | None:
    before = await ctx.promise("paid", type_hint=str).peek()
    await ctx.promise("paid", type_hint=str).resolve(amount)
    await ctx.promise("lost", type_hint=str).reject("gone", code=410)
    return before


app = restate.app([stock, attic, desk, nap, order, stubborn])
