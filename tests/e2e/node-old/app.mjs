// Services on a TypeScript SDK of the time of protocol versions 1 and 2, the package that SDK names, served with cleartext HTTP/2.
// What a handler does outside of the server is a line in the file EFFECTS_FILE, so that it can be counted.
import fs from "node:fs";

const restate = await import(process.env.SDK);
const prefix = process.env.SERVICE_PREFIX ?? "";
const effects = fs.openSync(process.env.EFFECTS_FILE, "a");
const effect = (tag, what) => fs.writeSync(effects, `${tag} ${what}\n`);
const failures = new Map();

const greeter = restate.service({
  name: `${prefix}Greeter`,
  handlers: { greet: async (ctx, name) => `Hello ${name}` },
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
    keys: async (ctx) => ctx.stateKeys(),
    clear: async (ctx) => ctx.clear("value"),
    clear_all: async (ctx) => ctx.clearAll(),
  },
});

const steps = restate.service({
  name: `${prefix}Steps`,
  handlers: {
    run: async (ctx, { tag, count }) => {
      const results = [];
      for (let number = 0; number < count; number++) {
        results.push(
          await ctx.run(`step-${number}`, async () => {
            effect(tag, `step-${number}`);
            return number * number;
          }),
        );
      }
      await ctx.run(() => effect(tag, "nothing returned"));
      return results;
    },
    nap: async (ctx, { tag, ms }) => {
      effect(tag, "begin");
      try {
        await ctx.sleep(ms);
      } catch (error) {
        effect(tag, `woken by ${error.code}`);
        throw error;
      }
      return "rested";
    },
    fail: async () => {
      throw new restate.TerminalError("it cannot be done", { errorCode: 418 });
    },
    fail_in_step: async (ctx) =>
      ctx.run("step", () => {
        throw new restate.TerminalError("not this step", { errorCode: 419 });
      }),
    // Fails twice before it succeeds.
    stumble: async (ctx, tag) => {
      const count = (failures.get(tag) ?? 0) + 1;
      failures.set(tag, count);
      if (count <= 2) throw new Error(`failure ${count}`);
      return count;
    },
  },
});

const chain = restate.service({
  name: `${prefix}Chain`,
  handlers: {
    greet: async (ctx, name) => ctx.serviceClient(greeter).greet(name),
    send: async (ctx, { key, delay }) => ctx.objectSendClient(counter, key, { delay }).add(1),
    failing: async (ctx) => ctx.serviceClient(steps).fail(),
    nap: async (ctx, request) => {
      try {
        return await ctx.serviceClient(steps).nap(request);
      } catch (error) {
        effect(request.tag, `caught ${error.code}`);
        throw error;
      }
    },
  },
});

const holder = restate.service({
  name: `${prefix}Holder`,
  handlers: {
    // "waiting" in each attempt: an awakeable that is rejected before anything awaits it ends a process of SDK 1.0.
    hold: async (ctx, tag) => {
      const { id, promise } = ctx.awakeable();
      await ctx.run(() => effect(tag, id));
      effect(`${tag}-attempts`, "waiting");
      return promise;
    },
    // Five steps, then one that tells an awakeable, which is awaited; "waiting" in each attempt once all of them are durable.
    hold_with_steps: async (ctx, tag) => {
      for (let number = 0; number < 5; number++) await ctx.run(() => effect(tag, `step-${number}`));
      const { id, promise } = ctx.awakeable();
      await ctx.run(() => effect(tag, id));
      effect(`${tag}-attempts`, "waiting");
      return promise;
    },
    // What comes first: one of two awakeables, or the end of a sleep.
    race: async (ctx, { tag, ms }) => {
      const [first, second] = [ctx.awakeable(), ctx.awakeable()];
      await ctx.run(() => effect(tag, second.id));
      const late = ctx.sleep(ms);
      const winner = await restate.CombineablePromise.any([first.promise, second.promise, late]);
      return typeof winner === "string" ? winner : "late"; // a sleep yields nothing, or an empty object
    },
    all: async (ctx) => restate.CombineablePromise.all([ctx.serviceClient(greeter).greet("A"), ctx.serviceClient(greeter).greet("B")]),
    resolve: async (ctx, { id, value }) => ctx.resolveAwakeable(id, value),
    reject: async (ctx, { id, reason }) => ctx.rejectAwakeable(id, reason),
    survive: async (ctx, tag) => {
      const { id, promise } = ctx.awakeable();
      await ctx.run(() => effect(tag, id));
      effect(`${tag}-attempts`, "waiting");
      try {
        await promise;
      } catch (error) {
        await ctx.run("compensate", () => effect(tag, "compensated"));
        return error.code;
      }
    },
  },
});

const signup = restate.workflow({
  name: `${prefix}Signup`,
  handlers: {
    run: async (ctx, name) => `${name}: ${await ctx.promise("approval").get()}`,
    approve: async (ctx, by) => ctx.promise("approval").resolve(by),
    peek: async (ctx) => (await ctx.promise("approval").peek()) ?? "nobody yet",
  },
});

let endpoint = restate.endpoint();
for (const service of [greeter, counter, steps, chain, holder, signup]) endpoint = endpoint.bind(service);
await endpoint.listen(Number(process.env.PORT));
