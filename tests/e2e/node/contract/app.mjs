// All services of the contract, over HTTP/2, or over HTTP/1.1 where HTTP_11 is set. INACTIVITY_MS is put into their manifest.
import * as restate from "@restatedev/restate-sdk";
import http from "node:http";
import http2 from "node:http2";
import { awakeableHolder } from "./awakeables.mjs";
import { beyond } from "./beyond.mjs";
import { listObject, maps } from "./collections.mjs";
import { commandInterpreter } from "./commands.mjs";
import { counter } from "./counter.mjs";
import { echoes } from "./echoes.mjs";
import { failing } from "./failing.mjs";
import { helper, layers } from "./interpreter.mjs";
import { nonDeterministic } from "./non_determinism.mjs";
import { capped } from "./offer.mjs";
import { proxy } from "./proxy.mjs";
import { cancelBlocking, cancelRunner, killRunner, killSingleton } from "./termination.mjs";
import { blockAndWait, promises } from "./workflows.mjs";

const { INACTIVITY_MS, HTTP_11, PORT } = process.env;
const options = {
  services: [
    awakeableHolder, beyond, ...maps, listObject, commandInterpreter, counter, echoes, failing, helper, ...layers, nonDeterministic,
    proxy, cancelRunner, cancelBlocking, killRunner, killSingleton, blockAndWait, promises,
  ],
  defaultServiceOptions: INACTIVITY_MS === undefined ? {} : { inactivityTimeout: Number(INACTIVITY_MS) },
};

const server = HTTP_11 ? http : http2;
server.createServer(capped(restate.createEndpointHandler(options))).listen(Number(PORT), "127.0.0.1");
