"""The services that records of subscriptions go to. ASGI app: `app`."""

import os
from typing import Any

import restate

ledger = restate.VirtualObject(f"{os.environ.get('SERVICE_PREFIX', '')}Ledger")


@ledger.handler()
async def note(ctx: restate.ObjectContext, value: int) -> None:
    """Append a value to what this key has seen."""
    ctx.set("values", [*(await ctx.get("values", type_hint=list[int]) or []), value])


@ledger.handler(kind="shared")
async def values(ctx: restate.ObjectSharedContext) -> list[int]:
    return await ctx.get("values", type_hint=list[int]) or []


@ledger.handler()
async def show(ctx: restate.ObjectContext, value: Any) -> None:
    """Keep what the last record looked like."""
    ctx.set("shown", [value, dict(ctx.request().headers)])


@ledger.handler(kind="shared")
async def shown(ctx: restate.ObjectSharedContext) -> list[Any] | None:
    return await ctx.get("shown", type_hint=list[Any])


app = restate.app([ledger])
