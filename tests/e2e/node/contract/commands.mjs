// `VirtualObjectCommandInterpreter`: does what a list of commands says, and keeps the outcome of each in its state.
import * as restate from "@restatedev/restate-sdk";
import { PREFIX } from "./surroundings.mjs";

const { RestatePromise, TerminalError } = restate;

const createAwakeable = (ctx, { awakeableKey }) => {
  const { id, promise } = ctx.awakeable();
  ctx.set(`awk-${awakeableKey}`, id);
  return promise;
};

const STARTERS = {
  createAwakeable,
  createSignal: (ctx, { signalName }) => ctx.signal(signalName),
  sleep: (ctx, { timeoutMillis }) => ctx.sleep(timeoutMillis).map(() => "sleep"),
  runReturns: (ctx, { value }) => ctx.run("return", () => value),
  runThrowTerminalException: (ctx, { reason }) =>
    ctx.run("throw", () => {
      throw new TerminalError(reason);
    }),
};

const start = (ctx, command) => STARTERS[command.type](ctx, command);
const startAll = (ctx, { commands }) => commands.map((each) => start(ctx, each));
const outcome = ({ status, value, reason }) => (status === "fulfilled" ? `ok:${value}` : `err:${reason.message}`);

const complete = async (ctx, { awakeableKey, value, reason }) => {
  const id = await ctx.get(`awk-${awakeableKey}`);
  if (id === null) throw new TerminalError("no such awakeable");
  if (reason === undefined) ctx.resolveAwakeable(id, value);
  else ctx.rejectAwakeable(id, reason);
  return "";
};

const first = (ctx, command) => RestatePromise.race(startAll(ctx, command));
const firstSuccess = async (ctx, command) => {
  try {
    return await RestatePromise.any(startAll(ctx, command));
  } catch (error) {
    throw error instanceof AggregateError ? error.errors.at(-1) : error;
  }
};

const COMMANDS = {
  resolveAwakeable: complete,
  rejectAwakeable: complete,
  getEnvVariable: (ctx, { envName }) => ctx.run("read", () => process.env[envName] ?? ""),
  awaitOne: (ctx, { command }) => start(ctx, command),
  awaitAny: first,
  awaitFirstCompleted: first,
  awaitAnySuccessful: firstSuccess,
  awaitFirstSucceededOrAllFailed: firstSuccess,
  awaitAllSucceededOrFirstFailed: async (ctx, command) => (await RestatePromise.all(startAll(ctx, command))).join("|"),
  awaitAllCompleted: async (ctx, command) => (await RestatePromise.allSettled(startAll(ctx, command))).map(outcome).join("|"),
  awaitAwakeableOrTimeout: async (ctx, command) => {
    try {
      return await createAwakeable(ctx, command).orTimeout(command.timeoutMillis);
    } catch (error) {
      throw error instanceof restate.TimeoutError ? new TerminalError("await-timeout") : error;
    }
  },
};

export const commandInterpreter = restate.object({
  name: `${PREFIX}VirtualObjectCommandInterpreter`,
  handlers: {
    interpretCommands: async (ctx, { commands }) => {
      let last = "";
      for (const command of commands) {
        last = await COMMANDS[command.type](ctx, command);
        ctx.set("results", [...((await ctx.get("results")) ?? []), last]);
      }
      return last;
    },
    resolveAwakeable: restate.handlers.object.shared(async (ctx, request) => {
      await complete(ctx, request);
    }),
    rejectAwakeable: restate.handlers.object.shared(async (ctx, request) => {
      await complete(ctx, request);
    }),
    hasAwakeable: restate.handlers.object.shared(async (ctx, key) => (await ctx.get(`awk-${key}`)) !== null),
    getResults: restate.handlers.object.shared(async (ctx) => (await ctx.get("results")) ?? []),
  },
});
