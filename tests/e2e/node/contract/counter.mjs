// `Counter`: a number with state, and an addition that ends in a terminal error.
import * as restate from "@restatedev/restate-sdk";
import { PREFIX } from "./surroundings.mjs";

const increase = async (ctx, addend) => {
  const oldValue = (await ctx.get("counter")) ?? 0;
  ctx.set("counter", oldValue + addend);
  return { oldValue, newValue: oldValue + addend };
};

export const counter = restate.object({
  name: `${PREFIX}Counter`,
  handlers: {
    add: increase,
    addThenFail: async (ctx, addend) => {
      await increase(ctx, addend);
      throw new restate.TerminalError(ctx.key);
    },
    get: async (ctx) => (await ctx.get("counter")) ?? 0,
    reset: async (ctx) => ctx.clear("counter"),
  },
});
