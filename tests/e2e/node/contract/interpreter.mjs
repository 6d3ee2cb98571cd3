// `ObjectInterpreterL0` to `L2` and `ServiceInterpreterHelper`: programs of many commands with their results awaited here and there.
// A program is `{commands: [{kind: number, ...}]}`; an object of one layer can run a program on one of the next. Whatever way a
// counter is incremented, each command counts once.
import * as restate from "@restatedev/restate-sdk";
import { FAST_RETRIES, PREFIX } from "./surroundings.mjs";

// The numbers by which the public contract knows the commands.
const KINDS = [
  "none", "setState", "getState", "clearState", "increment", "incrementIndirectly", "sleep", "callService", "callSlowService",
  "incrementViaDelayedCall", "sideEffect", "throwingSideEffect", "slowSideEffect", "recoverTerminalCall",
  "recoverTerminalCallMaybeUnawaited", "await", "resolveAwakeable", "rejectAwakeable", "incrementViaAwakeable", "callNextLayer",
];
const ONE_INCREMENT = { commands: [{ kind: KINDS.indexOf("increment") }] };

const layerNamed = (layer) => ({ name: `${PREFIX}ObjectInterpreterL${layer}` });
const sendIncrement = (ctx, { layer, key }) => ctx.objectSendClient(layerNamed(layer), key).interpret(ONE_INCREMENT);

export const helper = restate.service({
  name: `${PREFIX}ServiceInterpreterHelper`,
  handlers: {
    ping: async () => {},
    echo: async (ctx, text) => text,
    echoLater: async (ctx, { sleep, parameter }) => {
      await ctx.sleep(sleep);
      return parameter;
    },
    terminalFailure: async () => {
      throw new restate.TerminalError("bye");
    },
    incrementIndirectly: async (ctx, target) => {
      sendIncrement(ctx, target);
    },
    resolveAwakeable: async (ctx, id) => ctx.resolveAwakeable(id, "ok"),
    rejectAwakeable: async (ctx, id) => ctx.rejectAwakeable(id, "rejected"),
    incrementViaAwakeableDance: async (ctx, { interpreter, txPromiseId }) => {
      const { id, promise } = ctx.awakeable();
      ctx.resolveAwakeable(txPromiseId, id);
      await promise;
      sendIncrement(ctx, interpreter);
    },
  },
});

// One run of a program: results that are still to be awaited stand under the index of their command.
class Run {
  #pending = new Map();

  constructor(layer, ctx) {
    this.ctx = ctx;
    this.identity = { layer, key: ctx.key };
    this.helper = ctx.serviceClient(helper);
    this.sendToHelper = ctx.serviceSendClient(helper);
  }

  step(index, command) {
    const started = this[KINDS[command.kind]](command, `hello-${index}`);
    if (!Array.isArray(started)) return started;
    const [expected, promise] = started;
    promise.catch(() => {}); // node ends a process for a rejection that nobody has looked at yet
    this.#pending.set(index, [expected, promise]);
  }

  async await({ index }) {
    const [expected, promise] = this.#pending.get(index);
    this.#pending.delete(index);
    let got;
    try {
      got = await promise;
    } catch (error) {
      if (!(error instanceof restate.TerminalError)) throw error;
      got = "failed";
    }
    if (got !== expected) throw new restate.TerminalError(`expected ${expected}, got ${got}`);
  }

  setState({ key }) {
    this.ctx.set(`key-${key}`, `value-${key}`);
  }

  getState({ key }) {
    return this.ctx.get(`key-${key}`);
  }

  clearState({ key }) {
    this.ctx.clear(`key-${key}`);
  }

  async increment() {
    this.ctx.set("counter", ((await this.ctx.get("counter")) ?? 0) + 1);
  }

  incrementIndirectly() {
    this.sendToHelper.incrementIndirectly(this.identity);
  }

  incrementViaDelayedCall({ duration }) {
    this.sendToHelper.incrementIndirectly(this.identity, restate.rpc.sendOpts({ delay: duration }));
  }

  async incrementViaAwakeable() {
    const { id, promise } = this.ctx.awakeable();
    this.sendToHelper.incrementViaAwakeableDance({ interpreter: this.identity, txPromiseId: id });
    this.ctx.resolveAwakeable(await promise, "ok");
  }

  sleep({ duration }) {
    return this.ctx.sleep(duration);
  }

  async sideEffect() {
    if ((await this.ctx.run("effect", () => "done")) !== "done") throw new restate.TerminalError("a side effect gave something else");
  }

  slowSideEffect() {
    return this.sideEffect();
  }

  throwingSideEffect() {
    return this.ctx.run("throwing effect", () => {
      if (Math.random() < 0.5) throw new Error("now and then");
    });
  }

  async recoverTerminalCall() {
    try {
      await this.helper.terminalFailure();
    } catch (error) {
      if (error instanceof restate.TerminalError) return;
      throw error;
    }
    throw new restate.TerminalError("the callee did not fail");
  }

  callService(command, text) {
    return [text, this.helper.echo(text)];
  }

  callSlowService({ sleep }, text) {
    return [text, this.helper.echoLater({ sleep, parameter: text })];
  }

  recoverTerminalCallMaybeUnawaited() {
    return ["failed", this.helper.terminalFailure()];
  }

  resolveAwakeable() {
    const { id, promise } = this.ctx.awakeable();
    this.sendToHelper.resolveAwakeable(id);
    return ["ok", promise];
  }

  rejectAwakeable() {
    const { id, promise } = this.ctx.awakeable();
    this.sendToHelper.rejectAwakeable(id);
    return ["failed", promise];
  }

  callNextLayer({ key, program }) {
    return [undefined, this.ctx.objectClient(layerNamed(this.identity.layer + 1), `${key}`).interpret(program)];
  }
}

const layer = (number) =>
  restate.object({
    ...layerNamed(number),
    handlers: {
      interpret: async (ctx, { commands }) => {
        const run = new Run(number, ctx);
        for (const [index, command] of commands.entries()) await run.step(index, command);
      },
      counter: restate.handlers.object.shared(async (ctx) => (await ctx.get("counter")) ?? 0),
    },
    options: { retryPolicy: FAST_RETRIES },
  });

export const layers = [0, 1, 2].map(layer);
