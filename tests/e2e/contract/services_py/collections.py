"""`MapObject` and `ListObject`; `LazyMapObject` is the map without any state in the start message."""

from restate import ObjectContext, VirtualObject

from tests.e2e.contract.services_py.surroundings import PREFIX


def _map_object(name: str, *, is_lazy: bool) -> VirtualObject:
    map_object = VirtualObject(f"{PREFIX}{name}", enable_lazy_state=is_lazy)

    @map_object.handler("set")
    async def set_entry(ctx: ObjectContext, entry: dict[str, str]) -> None:
        ctx.set(entry["key"], entry["value"])

    @map_object.handler("get")
    async def get_entry(ctx: ObjectContext, key: str) -> str:
        return await ctx.get(key, type_hint=str) or ""

    @map_object.handler("clearAll")
    async def clear_all(ctx: ObjectContext) -> list[dict[str, str]]:
        entries = [{"key": key, "value": await ctx.get(key, type_hint=str) or ""} for key in await ctx.state_keys()]
        ctx.clear_all()
        return entries

    return map_object


maps = [_map_object("MapObject", is_lazy=False), _map_object("LazyMapObject", is_lazy=True)]
list_object = VirtualObject(f"{PREFIX}ListObject")


async def _items(ctx: ObjectContext) -> list[str]:
    return await ctx.get("list", type_hint=list) or []


@list_object.handler()
async def append(ctx: ObjectContext, value: str) -> None:
    ctx.set("list", [*await _items(ctx), value])


@list_object.handler()
async def get(ctx: ObjectContext) -> list[str]:
    return await _items(ctx)


@list_object.handler()
async def clear(ctx: ObjectContext) -> list[str]:
    items = await _items(ctx)
    ctx.clear("list")
    return items
