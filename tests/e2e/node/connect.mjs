// Makes the calls that come as JSON on standard input with the official Connect clients, and prints what each ended with.
// Descriptors are handed in, so that any service can be called: {url, descriptors, calls: [{transport, service, method, request, ...}]}.
import { createFileRegistry, fromBinary, fromJson, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import fs from "node:fs";

const { url, descriptors, calls } = JSON.parse(fs.readFileSync(0, "utf8"));
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(descriptors, "base64")));
const gzip = { acceptCompression: [node.compressionGzip], sendCompression: node.compressionGzip, compressMinBytes: 0 };
const over2 = { baseUrl: url, httpVersion: "2" };
const over1 = { baseUrl: url, httpVersion: "1.1" };
const transports = {
  "connect-json": () => node.createConnectTransport({ ...over1, useBinaryFormat: false }),
  "connect-binary": () => node.createConnectTransport({ ...over2, useBinaryFormat: true }),
  "connect-gzip": () => node.createConnectTransport({ ...over2, useBinaryFormat: true, ...gzip }),
  "connect-get": () => node.createConnectTransport({ ...over1, useHttpGet: true }),
  grpc: () => node.createGrpcTransport(over2),
  "grpc-gzip": () => node.createGrpcTransport({ ...over2, ...gzip }),
  "grpc-web": () => node.createGrpcWebTransport(over1),
  "web-connect": () => web.createConnectTransport({ baseUrl: url, useBinaryFormat: false }),
  "web-connect-binary": () => web.createConnectTransport({ baseUrl: url, useBinaryFormat: true }),
  "web-grpc-web": () => web.createGrpcWebTransport({ baseUrl: url }),
};

async function outcome({ transport, service, method, request, headers, timeoutMs }) {
  const described = registry.getService(service);
  const declared = described.methods.find((each) => each.name === method);
  const client = createClient(described, transports[transport]());
  let metadata = {};
  const note = (received) => (metadata = { ...metadata, ...Object.fromEntries(received) });
  try {
    const message = fromJson(declared.input, request, { registry });
    const answer = await client[declared.localName](message, { headers, timeoutMs, onHeader: note, onTrailer: note });
    return { message: toJson(declared.output, answer, { registry }), metadata };
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const details = error.details.map((detail) => detail.type);
    return { code: Code[error.code], text: error.rawMessage, details, metadata: Object.fromEntries(error.metadata) };
  }
}

const outcomes = [];
for (const call of calls) outcomes.push(await outcome(call));
fs.writeFileSync(1, JSON.stringify(outcomes));
process.exit(0);
