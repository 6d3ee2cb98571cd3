// `CancelTestRunner`, `CancelTestBlockingService`, `KillTestRunner`, `KillTestSingleton`: what blocks until somebody ends it.
import * as restate from "@restatedev/restate-sdk";
import { awakeableHolder } from "./awakeables.mjs";
import { PREFIX } from "./surroundings.mjs";

const CANCELLED = 409;
const YEARS_MS = 1024 * 24 * 3600 * 1000;

export const cancelRunner = restate.object({
  name: `${PREFIX}CancelTestRunner`,
  handlers: {
    startTest: async (ctx, operation) => {
      try {
        await ctx.objectClient(cancelBlocking, ctx.key).block(operation);
      } catch (error) {
        if (!(error instanceof restate.TerminalError) || error.code !== CANCELLED) throw error;
        ctx.set("canceled", true);
      }
    },
    verifyTest: async (ctx) => (await ctx.get("canceled")) ?? false,
  },
});

export const cancelBlocking = restate.object({
  name: `${PREFIX}CancelTestBlockingService`,
  handlers: {
    // Wait for the holder's word, then for what can never happen; `CALL` waits for its own lock.
    block: async (ctx, operation) => {
      const { id, promise } = ctx.awakeable();
      await ctx.objectClient(awakeableHolder, ctx.key).hold(id);
      await promise;
      if (operation === "CALL") await ctx.objectClient(cancelBlocking, ctx.key).block(operation);
      else if (operation === "SLEEP") await ctx.sleep(YEARS_MS);
      else if (operation === "AWAKEABLE") await ctx.awakeable().promise;
      else throw new restate.TerminalError(`unknown operation ${operation}`);
    },
    // Answers as soon as the lock is free.
    isUnlocked: async () => {},
  },
});

export const killRunner = restate.object({
  name: `${PREFIX}KillTestRunner`,
  handlers: { startCallTree: async (ctx) => ctx.objectClient(killSingleton, ctx.key).recursiveCall() },
});

export const killSingleton = restate.object({
  name: `${PREFIX}KillTestSingleton`,
  handlers: {
    // Wait for the holder's word, then for the own lock, which never comes free.
    recursiveCall: async (ctx) => {
      const { id, promise } = ctx.awakeable();
      ctx.objectSendClient(awakeableHolder, ctx.key).hold(id);
      await promise;
      await ctx.objectClient(killSingleton, ctx.key).recursiveCall();
    },
    isUnlocked: async () => {},
  },
});
