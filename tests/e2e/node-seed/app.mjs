// Services on the TypeScript SDK of spring 2024, served with cleartext HTTP/2: routers, protobuf services, a workflow.
// What a handler does outside of the server is a line in the file EFFECTS_FILE, so that it can be counted.
// EDITION changes what is offered: "2" is compatible with what is offered without it, "removed", "rekeyed" and "retyped" are not.
import * as restate from "@restatedev/restate-sdk";
import fs from "node:fs";
import http from "node:http";
import { descriptorOf } from "./protobuf.mjs";

const prefix = process.env.SERVICE_PREFIX || "seed";
const edition = process.env.EDITION ?? "";
const effects = fs.openSync(process.env.EFFECTS_FILE, "a");
const effect = (tag, what) => fs.writeSync(effects, `${tag} ${what}\n`);
const failures = new Map();
const { TerminalError, CombineablePromise } = restate;

const plainApi = { path: `${prefix}.Plain` };
const counterApi = { path: `${prefix}.Counter` };

// A step whose effect is counted.
const step = (ctx, tag, what) => ctx.sideEffect(async () => effect(tag, what));

const plain = restate.router({
  hello: async (ctx, name) => `Hello ${name}${edition}`,
  nothing: async () => undefined,
  run: async (ctx, { tag, count }) => {
    const results = [];
    for (let number = 0; number < count; number++) {
      results.push(
        await ctx.sideEffect(async () => {
          effect(tag, `step-${number}`);
          return number * number;
        }),
      );
    }
    await step(ctx, tag, "nothing returned");
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
  fail: async (ctx, code) => {
    throw new TerminalError("it cannot be done", { errorCode: code });
  },
  failInStep: async (ctx) =>
    ctx.sideEffect(async () => {
      throw new TerminalError("not this step", { errorCode: 9 });
    }),
  // Fails twice before it succeeds.
  stumble: async (ctx, tag) => {
    const count = (failures.get(tag) ?? 0) + 1;
    failures.set(tag, count);
    if (count <= 2) throw new Error(`failure ${count}`);
    return count;
  },
  stumbleInStep: async (ctx, tag) =>
    ctx.sideEffect(
      async () => {
        const count = (failures.get(tag) ?? 0) + 1;
        failures.set(tag, count);
        if (count <= 2) throw new Error(`failure ${count}`);
        return count;
      },
      { initialDelayMs: 10 },
    ),

  greetOther: async (ctx, name) => ctx.rpc(plainApi).hello(name),
  send: async (ctx, { key, delay }) => (delay ? ctx.sendDelayed(counterApi, delay) : ctx.send(counterApi)).add(key, 1),
  failingCall: async (ctx, code) => ctx.rpc(plainApi).fail(code),
  caughtCode: async (ctx, code) => ctx.rpc(plainApi).fail(code).catch((error) => error.code),
  napThroughOther: async (ctx, request) => {
    try {
      return await ctx.rpc(plainApi).nap(request);
    } catch (error) {
      effect(request.tag, `caught ${error.code}`);
      throw error;
    }
  },
  // A message, in base64, to any method: as generated clients send it.
  callEncoded: async (ctx, { service, method, message }) => {
    const answer = await ctx.grpcChannel().request(service, method, Buffer.from(message, "base64"));
    return Buffer.from(answer).toString("base64");
  },
  sendEncoded: async (ctx, { service, method, message, delay }) =>
    ctx.grpcChannel().delayedCall(() => ctx.grpcChannel().request(service, method, Buffer.from(message, "base64")), delay),
  callAnything: async (ctx, { path, method, args }) => ctx.rpc({ path })[method](...args),

  // Five steps, then one that tells an awakeable, which is awaited.
  hold: async (ctx, tag) => {
    for (let number = 0; number < 5; number++) await step(ctx, tag, `step-${number}`);
    const { id, promise } = ctx.awakeable();
    await step(ctx, tag, id);
    effect(`${tag}-attempts`, "waiting");
    return promise;
  },
  resolve: async (ctx, { id, value }) => ctx.resolveAwakeable(id, value),
  reject: async (ctx, { id, reason }) => ctx.rejectAwakeable(id, reason),
  // What comes first: an awakeable, or the end of a sleep.
  race: async (ctx, { tag, ms }) => {
    const { id, promise } = ctx.awakeable();
    await step(ctx, tag, id);
    const winner = await CombineablePromise.any([promise, ctx.sleep(ms)]);
    return typeof winner === "string" ? winner : "late"; // a sleep yields an empty object
  },
  both: async (ctx, tag) => {
    const [first, second] = [ctx.awakeable(), ctx.awakeable()];
    await step(ctx, tag, first.id);
    await step(ctx, tag, second.id);
    return CombineablePromise.all([first.promise, second.promise]);
  },
  // One await after the other; the second awakeable is told under a tag of its own.
  twice: async (ctx, tag) => {
    const first = ctx.awakeable();
    await step(ctx, tag, first.id);
    const answer = await first.promise;
    await ctx.sleep(10);
    const second = ctx.awakeable();
    await step(ctx, `${tag}-second`, second.id);
    return [answer, await second.promise];
  },
  inTime: async (ctx, ms) => ctx.awakeable().promise.orTimeout(ms),
  survive: async (ctx, tag) => {
    const { id, promise } = ctx.awakeable();
    await step(ctx, tag, id);
    effect(`${tag}-attempts`, "waiting");
    try {
      return await promise;
    } catch (error) {
      await step(ctx, tag, "compensated");
      return error.code;
    }
  },
  random: async (ctx, tag) => {
    const before = ctx.rand.uuidv4();
    effect(tag, before);
    await ctx.sleep(10);
    return before;
  },
});

const counter = restate.keyedRouter({
  add: async (ctx, key, amount) => {
    const value = ((await ctx.get("value")) ?? 0) + amount;
    ctx.set("value", value);
    return value;
  },
  get: async (ctx) => (await ctx.get("value")) ?? 0,
  keys: async (ctx) => ctx.stateKeys(),
  clear: async (ctx) => ctx.clear("value"),
  clearAll: async (ctx) => ctx.clearAll(),
  hold: async (ctx, key) => {
    effect(key, "begin");
    const { id, promise } = ctx.awakeable();
    await step(ctx, key, id);
    return promise;
  },
  happened: restate.keyedEventHandler(async (ctx, event) => ctx.set("event", event.json())),
  lastEvent: async (ctx) => ctx.get("event"),
});

const space = `${prefix}.shop`;
const shop = descriptorOf(
  `syntax = "proto3";
  package ${space};
  service Cart {
    option (dev.restate.ext.service_type) = KEYED;
    rpc Add (AddRequest) returns (Total);
    ${edition === "removed" ? "" : "rpc Order (OrderRequest) returns (Receipt);"}
    ${edition === "2" ? "rpc Drop (AddRequest) returns (Total);" : ""}
  }
  service Board {
    option (dev.restate.ext.service_type) = ${edition === "retyped" ? "UNKEYED" : "SINGLETON"};
    rpc Post (Note) returns (Total);
  }
  service Desk {
    option (dev.restate.ext.service_type) = UNKEYED;
    rpc AddTwice (AddRequest) returns (Total);
    rpc AddLater (AddRequest) returns (Receipt);
  }
  message AddRequest {
    ${edition === "rekeyed" ? "string id = 3 [(dev.restate.ext.field) = KEY];" : "string id = 1 [(dev.restate.ext.field) = KEY];"}
    int32 amount = 2;
  }
  message OrderRequest {
    int64 number = 1;
    string cart_id = 7 [(dev.restate.ext.field) = KEY];
  }
  message Note { string text = 1; }
  message Total { int64 value = 1; }
  message Receipt { string text = 1; }`,
  `${prefix}/shop.proto`,
  space,
);

class Cart {
  async add({ amount }) {
    const ctx = restate.useKeyedContext(this);
    const value = ((await ctx.get("total")) ?? 0) + amount;
    ctx.set("total", value);
    return { value };
  }
  async order({ number, cart_id }) {
    const ctx = restate.useKeyedContext(this);
    return { text: `order ${number} of ${cart_id}: ${(await ctx.get("total")) ?? 0}` };
  }
  drop() {
    restate.useKeyedContext(this).clear("total");
    return { value: 0 };
  }
}

class Board {
  async post({ text }) {
    const ctx = restate.useKeyedContext(this);
    const notes = [...((await ctx.get("notes")) ?? []), text];
    ctx.set("notes", notes);
    return { value: notes.length };
  }
}

// Calls the cart as generated clients do: encoded messages through a channel.
class Desk {
  async addTwice(request) {
    const ctx = restate.useContext(this);
    const { encode, decode } = codec("AddRequest", "Total");
    await ctx.grpcChannel().request(`${space}.Cart`, "Add", encode(request));
    return decode(await ctx.grpcChannel().request(`${space}.Cart`, "Add", encode(request)));
  }
  async addLater(request) {
    const ctx = restate.useContext(this);
    const { encode } = codec("AddRequest", "Total");
    await ctx.grpcChannel().delayedCall(() => ctx.grpcChannel().request(`${space}.Cart`, "Add", encode(request)), 50);
    return { text: "sent" };
  }
}

function codec(requestType, responseType) {
  const [request, response] = [shop.references[`.${space}.${requestType}`], shop.references[`.${space}.${responseType}`]];
  return { encode: (message) => request.encode(message).finish(), decode: response.decode };
}

const signup = restate.workflow.workflow(`${prefix}.Signup`, {
  run: async (ctx, { name }) => {
    await step(ctx, ctx.workflowId(), "ran");
    return `${name}: ${await ctx.promise("approval")}`;
  },
  approve: async (ctx, { by }) => ctx.promise("approval").resolve(by),
});

let endpoint = restate.endpoint().bindRouter(plainApi.path, plain).bindKeyedRouter(counterApi.path, counter).bind(signup);
for (const [service, instance] of [
  ["Cart", new Cart()],
  ["Board", new Board()],
  ["Desk", new Desk()],
]) {
  endpoint = endpoint.bindService({ descriptor: shop, service, instance });
}
if (process.env.AS_FUNCTION) serveAsFunction(endpoint.lambdaHandler());
else await endpoint.listen(Number(process.env.PORT));

// Calls the handler for Lambda with the event that each request's body is.
function serveAsFunction(handler) {
  const server = http.createServer(async (request, response) => {
    const chunks = await request.toArray();
    response.end(JSON.stringify(await handler(JSON.parse(Buffer.concat(chunks)), { awsRequestId: "test" })));
  });
  server.listen(Number(process.env.PORT));
}
