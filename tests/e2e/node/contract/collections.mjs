// `MapObject` and `ListObject`; `LazyMapObject` is the map without any state in the start message.
import * as restate from "@restatedev/restate-sdk";
import { PREFIX } from "./surroundings.mjs";

const mapObject = (name, enableLazyState) =>
  restate.object({
    name: `${PREFIX}${name}`,
    handlers: {
      set: async (ctx, { key, value }) => ctx.set(key, value),
      get: async (ctx, key) => (await ctx.get(key)) ?? "",
      clearAll: async (ctx) => {
        const entries = [];
        for (const key of await ctx.stateKeys()) entries.push({ key, value: await ctx.get(key) });
        ctx.clearAll();
        return entries;
      },
    },
    options: { enableLazyState },
  });

export const maps = [mapObject("MapObject", false), mapObject("LazyMapObject", true)];

const items = async (ctx) => (await ctx.get("list")) ?? [];

export const listObject = restate.object({
  name: `${PREFIX}ListObject`,
  handlers: {
    append: async (ctx, value) => ctx.set("list", [...(await items(ctx)), value]),
    get: items,
    clear: async (ctx) => {
      const all = await items(ctx);
      ctx.clear("list");
      return all;
    },
  },
});
