// The services of the tests and benchmarks on the TypeScript SDK, served with cleartext HTTP/2.
// What a handler does outside of the server is a line in the file EFFECTS_FILE, so that it can be counted.
import * as restate from "@restatedev/restate-sdk";
import fs from "node:fs";

const prefix = process.env.SERVICE_PREFIX ?? "";
const effects = process.env.EFFECTS_FILE ? fs.openSync(process.env.EFFECTS_FILE, "a") : null;
const effect = (tag, what) => effects !== null && fs.writeSync(effects, `${tag} ${what}\n`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let greeted = 0;

const greeter = restate.service({
  name: `${prefix}Greeter`,
  handlers: {
    greet: async (ctx, name) => {
      greeted += 1;
      return `Hello ${name}`;
    },
    // Greetings of this process so far; not durable, tells when a backlog of one-way calls is done.
    greeted: async () => greeted,
  },
});

const counter = restate.object({
  name: `${prefix}Counter`,
  handlers: {
    add: async (ctx, amount) => {
      const value = ((await ctx.get("value")) ?? 0) + amount;
      ctx.set("value", value);
      return value;
    },
    get: restate.handlers.object.shared(async (ctx) => (await ctx.get("value")) ?? 0),
    clear: async (ctx) => ctx.clear("value"),
  },
});

const steps = restate.service({
  name: `${prefix}Steps`,
  handlers: {
    run: async (ctx, { tag = "", count, pause_ms = 0 }) => {
      const results = [];
      for (let number = 0; number < count; number++) {
        results.push(
          await ctx.run(`step-${number}`, async () => {
            if (pause_ms) await pause(pause_ms);
            if (tag) effect(tag, `step-${number}`);
            return number * number;
          }),
        );
      }
      return results;
    },
    // As `run`, then one to be added to the counter of that tag.
    run_and_count: async (ctx, request) => {
      await ctx.serviceClient(steps).run(request);
      return ctx.objectClient(counter, request.tag).add(1);
    },
  },
});

const chain = restate.service({
  name: `${prefix}Chain`,
  handlers: { greet: async (ctx, name) => ctx.serviceClient(greeter).greet(name) },
});

const parked = restate.service({
  name: `${prefix}Parked`,
  options: { inactivityTimeout: 0 },
  handlers: { wait: async (ctx) => ctx.awakeable().promise },
});

restate.serve({ services: [greeter, counter, steps, chain, parked], port: Number(process.env.PORT ?? 9080) });
