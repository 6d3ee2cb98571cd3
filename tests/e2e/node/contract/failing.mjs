// `Failing`: terminal errors with and without metadata, attempts that fail, and side effects with a policy of their own.
import * as restate from "@restatedev/restate-sdk";
import { Counts, FAST_RETRIES, PREFIX } from "./surroundings.mjs";

// How often the handler or the side effect of an invocation has run in this process.
const tries = new Counts();
const failure = ({ errorMessage, metadata }) => new restate.TerminalError(errorMessage, { metadata });

export const failing = restate.object({
  name: `${PREFIX}Failing`,
  handlers: {
    terminallyFailingCall: async (ctx, request) => {
      throw failure(request);
    },
    callTerminallyFailingCall: async (ctx, request) => {
      await ctx.objectClient(failing, ctx.rand.uuidv4()).terminallyFailingCall(request);
      throw new restate.TerminalError("the callee did not fail");
    },
    failingCallWithEventualSuccess: async (ctx) => {
      const attempt = tries.increase(ctx.request().id);
      if (attempt < 4) throw new Error(`attempt ${attempt} fails`);
      return attempt;
    },
    terminallyFailingSideEffect: async (ctx, request) => {
      await ctx.run("fail", () => {
        throw failure(request);
      });
      throw new restate.TerminalError("the side effect did not fail");
    },
    sideEffectSucceedsAfterGivenAttempts: (ctx, minimumAttempts) =>
      ctx.run(
        "stumble",
        () => {
          const attempt = tries.increase(ctx.request().id);
          if (attempt < minimumAttempts) throw new Error(`try ${attempt} fails`);
          return attempt;
        },
        { initialRetryInterval: 10, retryIntervalFactor: 1 },
      ),
    sideEffectFailsAfterGivenAttempts: async (ctx, maxRetryAttempts) => {
      const fail = () => {
        throw new Error(`try ${tries.increase(ctx.request().id)} fails`);
      };
      try {
        await ctx.run("fail", fail, { maxRetryAttempts, initialRetryInterval: 10 });
      } catch (error) {
        if (!(error instanceof restate.TerminalError)) throw error;
        return ctx.run("count", () => tries.of(ctx.request().id));
      }
      throw new restate.TerminalError("the side effect did not fail");
    },
  },
  options: { retryPolicy: FAST_RETRIES },
});
