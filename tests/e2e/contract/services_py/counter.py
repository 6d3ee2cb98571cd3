"""`Counter`: a number with state, and an addition that ends in a terminal error."""

from restate import ObjectContext, TerminalError, VirtualObject

from tests.e2e.contract.services_py.surroundings import PREFIX

counter = VirtualObject(f"{PREFIX}Counter")


async def _increase(ctx: ObjectContext, addend: int) -> dict[str, int]:
    old = await ctx.get("counter", type_hint=int) or 0
    ctx.set("counter", old + addend)
    return {"oldValue": old, "newValue": old + addend}


@counter.handler()
async def add(ctx: ObjectContext, addend: int) -> dict[str, int]:
    return await _increase(ctx, addend)


@counter.handler("addThenFail")
async def add_then_fail(ctx: ObjectContext, addend: int) -> None:
    await _increase(ctx, addend)
    raise TerminalError(ctx.key())


@counter.handler()
async def get(ctx: ObjectContext) -> int:
    return await ctx.get("counter", type_hint=int) or 0


@counter.handler()
async def reset(ctx: ObjectContext) -> None:
    ctx.clear("counter")
