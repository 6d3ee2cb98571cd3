"""The services that the end-to-end tests call, on the Python SDK. ASGI app: `app`.

What a handler does outside of the server is a line in the file `EFFECTS_FILE`, so that a test can count it.
"""

import asyncio
import os
from datetime import timedelta
from typing import Any

import restate

PREFIX = os.environ.get("SERVICE_PREFIX", "")
attempts_of: dict[str, int] = {}
EFFECTS = os.open(os.environ.get("EFFECTS_FILE", os.devnull), os.O_WRONLY | os.O_APPEND)

greeter = restate.Service(f"{PREFIX}Greeter")
counter = restate.VirtualObject(f"{PREFIX}Counter")
journal = restate.VirtualObject(f"{PREFIX}Journal")
steps = restate.Service(f"{PREFIX}Steps")
sleeper = restate.Service(f"{PREFIX}Sleeper")
caller = restate.Service(f"{PREFIX}Caller")
holder = restate.Service(f"{PREFIX}Holder")
patient = restate.Service(f"{PREFIX}Patient", inactivity_timeout=timedelta(seconds=1))
failing = restate.Service(
    f"{PREFIX}Failing",
    invocation_retry_policy=restate.InvocationRetryPolicy(initial_interval=timedelta(milliseconds=20), exponentiation_factor=1.0),
)
hidden = restate.Service(f"{PREFIX}Hidden", ingress_private=True)
approval = restate.Workflow(f"{PREFIX}Approval")


def effect(tag: str, what: str) -> None:
    """Do something outside of the server that can be counted."""
    os.write(EFFECTS, f"{tag} {what}\n".encode())


@greeter.handler()
async def greet(ctx: restate.Context, name: str) -> str:
    return f"Hello {name}"


@greeter.handler()
async def header(ctx: restate.Context, name: str) -> str | None:
    return ctx.request().headers.get(name)


@counter.handler()
async def add(ctx: restate.ObjectContext, amount: int) -> int:
    value = (await ctx.get("value", type_hint=int) or 0) + amount
    ctx.set("value", value)
    return value


@counter.handler(kind="shared")
async def get(ctx: restate.ObjectSharedContext) -> int:
    return await ctx.get("value", type_hint=int) or 0


@counter.handler()
async def clear(ctx: restate.ObjectContext) -> None:
    ctx.clear("value")


@journal.handler()
async def append(ctx: restate.ObjectContext, item: int) -> None:
    ctx.set(f"item-{item:04}", item)
    ctx.set("order", [*(await ctx.get("order", type_hint=list) or []), item])


@journal.handler(kind="shared")
async def read(ctx: restate.ObjectSharedContext) -> dict[str, Any]:
    return {"order": await ctx.get("order", type_hint=list), "keys": sorted(await ctx.state_keys())}


@journal.handler()
async def erase(ctx: restate.ObjectContext) -> list[str]:
    ctx.clear_all()
    return await ctx.state_keys()


@journal.handler()
async def hold_lock(ctx: restate.ObjectContext, tag: str) -> str:
    """Keep the object locked until someone completes the awakeable whose id is among the effects of `tag`."""
    name, value = ctx.awakeable(type_hint=str)
    await ctx.run_typed("tell", effect, restate.RunOptions(), tag, name)
    return await value


@steps.handler("run")
async def run_steps(ctx: restate.Context, request: dict[str, Any]) -> list[int]:
    """Run `count` journaled steps of `pause_ms` each and return their results."""

    async def step(number: int) -> int:
        await asyncio.sleep(request.get("pause_ms", 0) / 1000)
        effect(request["tag"], f"step-{number}")
        return number * number

    return [await ctx.run_typed(f"step-{number}", step, restate.RunOptions(), number) for number in range(request["count"])]


@steps.handler()
async def echo_bytes(ctx: restate.Context, size: int) -> int:
    """Journal one step whose result has `size` characters and return how many came back."""

    async def step() -> str:
        return "x" * size

    return len(await ctx.run_typed("large", step))


@sleeper.handler()
async def nap(ctx: restate.Context, request: dict[str, Any]) -> str:
    """Sleep between two steps; each attempt that has the first one's result tells so under `{tag}-attempts`."""
    tag = request["tag"]
    await ctx.run_typed("before", effect, restate.RunOptions(), tag, "before")
    effect(f"{tag}-attempts", "asleep")
    await ctx.sleep(timedelta(milliseconds=request["ms"]))
    await ctx.run_typed("after", effect, restate.RunOptions(), tag, "after")
    return "rested"


@caller.handler()
async def add_to(ctx: restate.Context, request: dict[str, Any]) -> int:
    return await ctx.object_call(add, key=request["key"], arg=request["amount"])


@caller.handler()
async def add_to_all(ctx: restate.Context, keys: list[str]) -> list[int]:
    calls = [ctx.object_call(add, key=key, arg=1) for key in keys]
    return [await call for call in calls]


@caller.handler()
async def add_later(ctx: restate.Context, request: dict[str, Any]) -> str:
    handle = ctx.object_send(add, key=request["key"], arg=1, send_delay=timedelta(milliseconds=request["ms"]))
    return await handle.invocation_id()


@caller.handler()
async def call_refused(ctx: restate.Context, message: str) -> str:
    try:
        return await ctx.service_call(refuse, arg=message)
    except restate.TerminalError as error:
        return f"{error.status_code} {error.message}"


@holder.handler()
async def hold(ctx: restate.Context, tag: str) -> str:
    """Wait for an awakeable whose id is among the effects of `tag`."""
    name, value = ctx.awakeable(type_hint=str)
    await ctx.run_typed("tell", effect, restate.RunOptions(), tag, name)
    try:
        return f"resolved {await value}"
    except restate.TerminalError as error:
        return f"rejected {error.message}"


@patient.handler()
async def await_long(ctx: restate.Context, tag: str) -> str:
    """As `hold`, but suspended after a second; an attempt's begin and end are effects."""
    effect(tag, "begin")
    try:
        name, value = ctx.awakeable(type_hint=str)
        await ctx.run_typed("tell", effect, restate.RunOptions(), tag, f"id {name}")
        return await value
    finally:
        effect(tag, "end")


@patient.handler()
async def nap_long(ctx: restate.Context, tag: str) -> str:
    effect(tag, "begin")
    await ctx.sleep(timedelta(seconds=2))
    return "rested"


@patient.handler()
async def call_sleeper(ctx: restate.Context, request: dict[str, Any]) -> str:
    effect(f"{request['tag']}-caller", "begin")
    return await ctx.service_call(nap, arg=request)


@failing.handler()
async def refuse(ctx: restate.Context, message: str) -> str:
    raise restate.TerminalError(message, status_code=418)


@failing.handler()
async def refuse_with_metadata(ctx: restate.Context, message: str) -> str:
    raise restate.TerminalError(message, status_code=409, metadata={"reason": "full"})


@failing.handler()
async def stumble(ctx: restate.Context, request: dict[str, Any]) -> int:
    """Fail `times` attempts with an ordinary exception, after a journaled step, then return the attempt's number."""
    tag = request["tag"]
    await ctx.run_typed("once", effect, restate.RunOptions(), tag, "step")
    effect(tag, "attempt")
    attempts = attempts_of[tag] = attempts_of.get(tag, 0) + 1
    if attempts <= request["times"]:
        raise ValueError(f"attempt {attempts} fails")
    return attempts


@failing.handler()
async def step_gives_up(ctx: restate.Context, tag: str) -> str:
    """A step that always fails and may be tried three times."""

    async def step() -> None:
        effect(tag, "try")
        raise ValueError("always")

    options: restate.RunOptions[None] = restate.RunOptions(max_attempts=3, initial_retry_interval=timedelta(milliseconds=10))
    try:
        await ctx.run_typed("hopeless", step, options)
    except restate.TerminalError as error:
        return f"gave up: {error.message}"
    return "done"


@hidden.handler()
async def whisper(ctx: restate.Context, word: str) -> str:
    return word


@caller.handler()
async def call_hidden(ctx: restate.Context, word: str) -> str:
    return await ctx.service_call(whisper, arg=word)


@approval.main()
async def run(ctx: restate.WorkflowContext, name: str) -> str:
    ctx.set("name", name)
    await ctx.run_typed("open", effect, restate.RunOptions(), ctx.key(), "opened")
    return f"{name} {await ctx.promise('decision', type_hint=str).value()}"


@approval.handler()
async def decide(ctx: restate.WorkflowSharedContext, decision: str) -> None:
    await ctx.promise("decision", type_hint=str).resolve(decision)


@approval.handler()
async def name_of(ctx: restate.WorkflowSharedContext) -> str | None:
    return await ctx.get("name", type_hint=str)


app = restate.app([greeter, counter, journal, steps, sleeper, caller, holder, patient, failing, hidden, approval])
