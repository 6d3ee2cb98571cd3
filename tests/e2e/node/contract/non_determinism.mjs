// `NonDeterministic`: handlers that go another way at every second attempt. Every await suspends, so that a second attempt comes.
import * as restate from "@restatedev/restate-sdk";
import { counter } from "./counter.mjs";
import { Counts, PREFIX } from "./surroundings.mjs";

const attempts = new Counts();
const goesLeft = (ctx) => attempts.increase(ctx.request().id) % 2 === 1;
const end = async (ctx) => {
  await ctx.sleep(50);
  ctx.objectSendClient(counter, ctx.key).add(1);
};

export const nonDeterministic = restate.object({
  name: `${PREFIX}NonDeterministic`,
  handlers: {
    setDifferentKey: async (ctx) => {
      ctx.set(goesLeft(ctx) ? "a" : "b", "my-state");
      await end(ctx);
    },
    backgroundInvokeWithDifferentTargets: async (ctx) => {
      const other = ctx.objectSendClient(counter, "abc");
      if (goesLeft(ctx)) other.get();
      else other.reset();
      await end(ctx);
    },
    callDifferentMethod: async (ctx) => {
      const other = ctx.objectClient(counter, "abc");
      await (goesLeft(ctx) ? other.get() : other.reset());
      await end(ctx);
    },
    eitherSleepOrCall: async (ctx) => {
      await (goesLeft(ctx) ? ctx.sleep(50) : ctx.objectClient(counter, "abc").get());
      await end(ctx);
    },
  },
  options: { inactivityTimeout: 0, retryPolicy: { maxAttempts: 1, onMaxAttempts: "pause" } },
});
