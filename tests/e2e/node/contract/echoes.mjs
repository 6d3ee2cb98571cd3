// `TestUtilsService`: echoes, counted side effects, concurrent sleeps, cancellation and named signals by handlers.
import * as restate from "@restatedev/restate-sdk";
import { PREFIX } from "./surroundings.mjs";

const octets = { accept: "*/*", input: restate.serde.binary, output: restate.serde.binary };

export const echoes = restate.service({
  name: `${PREFIX}TestUtilsService`,
  handlers: {
    echo: async (ctx, text) => text,
    uppercaseEcho: async (ctx, text) => text.toUpperCase(),
    echoHeaders: async (ctx) => Object.fromEntries(ctx.request().headers),
    rawEcho: restate.handlers.handler(octets, async (ctx, body) => body),
    sleepConcurrently: async (ctx, durations) => {
      await restate.RestatePromise.all(durations.map((duration) => ctx.sleep(duration)));
    },
    // How many side effects the last attempt ran itself; a suspension at each leaves none for it.
    countExecutedSideEffects: async (ctx, increments) => {
      let executed = 0;
      for (let number = 0; number < increments; number++) {
        await ctx.run("count", () => {
          executed += 1;
        });
      }
      return executed;
    },
    cancelInvocation: async (ctx, invocationId) => ctx.cancel(invocationId),
    resolveSignal: async (ctx, { invocationId, signalName, value }) => ctx.invocation(invocationId).signal(signalName).resolve(value),
    rejectSignal: async (ctx, { invocationId, signalName, reason }) => ctx.invocation(invocationId).signal(signalName).reject(reason),
  },
});
