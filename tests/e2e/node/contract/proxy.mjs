// `Proxy`: calls whatever it is told to, by name; bodies are lists of byte values.
import * as restate from "@restatedev/restate-sdk";
import { PREFIX } from "./surroundings.mjs";

const target = ({ serviceName, handlerName, virtualObjectKey, message, idempotencyKey }) => ({
  service: serviceName,
  method: handlerName,
  key: virtualObjectKey ?? undefined,
  parameter: new Uint8Array(message),
  idempotencyKey: idempotencyKey ?? undefined,
});
const call = (ctx, request) => ctx.genericCall(target(request));
const send = (ctx, request) => ctx.genericSend({ ...target(request), delay: request.delayMillis ?? undefined });

export const proxy = restate.service({
  name: `${PREFIX}Proxy`,
  handlers: {
    call: async (ctx, request) => Array.from(await call(ctx, request)),
    oneWayCall: async (ctx, request) => send(ctx, request).invocationId,
    manyCalls: async (ctx, requests) => {
      const awaited = [];
      for (const { proxyRequest, oneWayCall, awaitAtTheEnd } of requests) {
        if (oneWayCall) send(ctx, proxyRequest);
        else if (awaitAtTheEnd) awaited.push(call(ctx, proxyRequest));
        else await call(ctx, proxyRequest);
      }
      await restate.RestatePromise.all(awaited);
    },
  },
});
