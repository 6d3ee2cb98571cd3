"""A virtual object: every key has its own state, and calls that change it run one after another."""

import restate

counter = restate.VirtualObject("Counter")


@counter.handler()
async def add(ctx: restate.ObjectContext, amount: int) -> int:
    """Add to the counter and return what it is now."""
    total = (await ctx.get("total", type_hint=int) or 0) + amount
    ctx.set("total", total)
    return total


@counter.handler(kind="shared")
async def get(ctx: restate.ObjectSharedContext) -> int:
    """Return what the counter is, also while it is being added to."""
    return await ctx.get("total", type_hint=int) or 0
