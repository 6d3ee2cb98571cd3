// `AwakeableHolder`: keeps the id of somebody's awakeable until it is told to resolve it.
import * as restate from "@restatedev/restate-sdk";
import { PREFIX } from "./surroundings.mjs";

export const awakeableHolder = restate.object({
  name: `${PREFIX}AwakeableHolder`,
  handlers: {
    hold: async (ctx, id) => ctx.set("id", id),
    hasAwakeable: async (ctx) => (await ctx.get("id")) !== null,
    unlock: async (ctx, payload) => {
      const id = await ctx.get("id");
      if (id === null) throw new restate.TerminalError("no awakeable is held");
      ctx.resolveAwakeable(id, payload);
    },
  },
});
