// Makes the calls that come as JSON on standard input with the official Connect clients, and prints what each ended with.
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import fs from "node:fs";
import { outcomesOf } from "./connect-calls.mjs";

const { url, ...program } = JSON.parse(fs.readFileSync(0, "utf8"));
const gzip = { acceptCompression: [node.compressionGzip], sendCompression: node.compressionGzip, compressMinBytes: 0 };
const over2 = { baseUrl: url, httpVersion: "2" };
const over1 = { baseUrl: url, httpVersion: "1.1" };
const transports = {
  "connect-json": () => node.createConnectTransport({ ...over1, useBinaryFormat: false }),
  "connect-binary": () => node.createConnectTransport({ ...over2, useBinaryFormat: true }),
  "connect-gzip": () => node.createConnectTransport({ ...over2, useBinaryFormat: true, ...gzip }),
  grpc: () => node.createGrpcTransport(over2),
  "grpc-gzip": () => node.createGrpcTransport({ ...over2, ...gzip }),
  "grpc-web": () => node.createGrpcWebTransport(over1),
  "web-connect": () => web.createConnectTransport({ baseUrl: url, useBinaryFormat: false }),
  "web-connect-binary": () => web.createConnectTransport({ baseUrl: url, useBinaryFormat: true }),
  "web-grpc-web": () => web.createGrpcWebTransport({ baseUrl: url }),
};
fs.writeFileSync(1, JSON.stringify(await outcomesOf(program, transports)));
process.exit(0);
