// `BlockAndWaitWorkflow`; and `PromiseWorkflow`, which shows every operation on a promise.
import * as restate from "@restatedev/restate-sdk";
import { PREFIX } from "./surroundings.mjs";

export const blockAndWait = restate.workflow({
  name: `${PREFIX}BlockAndWaitWorkflow`,
  handlers: {
    run: async (ctx, text) => {
      ctx.set("my-state", text);
      const output = await ctx.promise("durable-promise");
      if ((await ctx.promise("durable-promise").peek()) === undefined) {
        throw new restate.TerminalError("a completed promise shows nothing");
      }
      return output;
    },
    unblock: async (ctx, output) => ctx.promise("durable-promise").resolve(output),
    getState: async (ctx) => ctx.get("my-state"),
  },
});

export const promises = restate.workflow({
  name: `${PREFIX}PromiseWorkflow`,
  handlers: {
    run: async (ctx) => ctx.promise("gate").get(),
    peek: async (ctx) => (await ctx.promise("gate").peek()) ?? null,
    wait: async (ctx) => ctx.promise("gate").get(),
    resolve: async (ctx, value) => ctx.promise("gate").resolve(value),
    reject: async (ctx, message) => ctx.promise("gate").reject(message),
  },
});
