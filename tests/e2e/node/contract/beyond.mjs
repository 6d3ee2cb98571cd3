// `Beyond`: what the public contract has no handler for.
import * as restate from "@restatedev/restate-sdk";
import { echoes } from "./echoes.mjs";
import { Counts, effect, FAST_RETRIES, PREFIX } from "./surroundings.mjs";

const attempts = new Counts();

export const beyond = restate.service({
  name: `${PREFIX}Beyond`,
  handlers: {
    attach: async (ctx, invocationId) => ctx.attach(invocationId),
    callWithHeaders: async (ctx, headers) => ctx.serviceClient(echoes).echoHeaders(restate.rpc.opts({ headers })),
    // Two uuids, drawn before and after a suspension.
    drawTwice: async (ctx) => {
      const first = ctx.rand.uuidv4();
      await ctx.sleep(20);
      return [first, ctx.rand.uuidv4()];
    },
    // Fail `times` attempts after `steps` journaled steps, then return the number of the attempt.
    stumble: async (ctx, { tag, steps, times }) => {
      for (let number = 0; number < steps; number++) await ctx.run(`step-${number}`, () => effect(tag, `step-${number}`));
      const attempt = attempts.increase(tag);
      if (attempt <= times) throw new Error(`attempt ${attempt} fails`);
      return attempt;
    },
    // Ask for another attempt after `delayMillis`, much later than the policy would have it, and then return.
    tryLater: async (ctx, { tag, delayMillis }) => {
      effect(tag, "attempt");
      const attempt = attempts.increase(tag);
      if (attempt === 1) throw new restate.RetryableError("later", { retryAfter: delayMillis });
      return attempt;
    },
    // Fail every attempt; the policy allows three.
    giveUp: restate.handlers.handler({ retryPolicy: { ...FAST_RETRIES, maxAttempts: 3, onMaxAttempts: "kill" } }, async (ctx, tag) => {
      effect(tag, "attempt");
      throw new Error("never");
    }),
    // Tell the id of an awakeable under `tag`, and return its value.
    waitForWord: async (ctx, tag) => {
      const { id, promise } = ctx.awakeable();
      await ctx.run("tell", () => effect(tag, id));
      return promise;
    },
  },
  options: { retryPolicy: FAST_RETRIES },
});
