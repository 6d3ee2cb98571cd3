"""Services of today that meet those of the seed era. ASGI app: `app`; names begin with `SERVICE_PREFIX`."""

import os
from typing import Any

import restate

PREFIX = os.environ.get("SERVICE_PREFIX", "")
counter = restate.VirtualObject(f"{PREFIX}Counter")
bridge = restate.Service(f"{PREFIX}Bridge")


def effect(tag: str, what: str) -> None:
    """Do something outside of the server that can be counted: append a line to the file of effects."""
    with open(os.environ["EFFECTS_FILE"], "a") as file:
        file.write(f"{tag} {what}\n")


@counter.handler()
async def add(ctx: restate.ObjectContext, amount: int) -> int:
    value = (await ctx.get("value", type_hint=int) or 0) + amount
    ctx.set("value", value)
    return value


@bridge.handler()
async def hold(ctx: restate.Context, tag: str) -> str:
    """Wait for an awakeable whose id is among the effects of `tag`."""
    name, value = ctx.awakeable(type_hint=str)
    await ctx.run_typed("tell", effect, restate.RunOptions(), tag, name)
    effect(f"{tag}-attempts", "waiting")
    try:
        return f"resolved {await value}"
    except restate.TerminalError as error:
        return f"rejected {error.message}"


@bridge.handler()
async def resolve(ctx: restate.Context, request: dict[str, Any]) -> None:
    ctx.resolve_awakeable(request["id"], request["value"])


@bridge.handler()
async def reject(ctx: restate.Context, request: dict[str, str]) -> None:
    ctx.reject_awakeable(request["id"], request["reason"])


@bridge.handler()
async def call_encoded(ctx: restate.Context, request: dict[str, str]) -> str:
    """Call a protobuf method with an encoded message; both messages are in hex."""
    return (await ctx.generic_call(request["service"], request["method"], bytes.fromhex(request["message"]))).hex()


app = restate.app([counter, bridge])
