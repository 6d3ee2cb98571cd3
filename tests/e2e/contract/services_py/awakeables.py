"""`AwakeableHolder`: keeps the id of somebody's awakeable until it is told to resolve it."""

from restate import ObjectContext, TerminalError, VirtualObject

from tests.e2e.contract.services_py.surroundings import PREFIX

awakeable_holder = VirtualObject(f"{PREFIX}AwakeableHolder")


@awakeable_holder.handler()
async def hold(ctx: ObjectContext, awakeable_id: str) -> None:
    ctx.set("id", awakeable_id)


@awakeable_holder.handler("hasAwakeable")
async def has_awakeable(ctx: ObjectContext) -> bool:
    return await ctx.get("id", type_hint=str) is not None


@awakeable_holder.handler()
async def unlock(ctx: ObjectContext, payload: str) -> None:
    awakeable_id = await ctx.get("id", type_hint=str)
    if awakeable_id is None:
        raise TerminalError("no awakeable is held")
    ctx.resolve_awakeable(awakeable_id, payload)
