// Makes calls with Connect clients over the transports that are handed in, in node and in browsers alike, and tells what each ended with.
// Descriptors are handed in too, so that any service can be called: {descriptors, calls: [{transport, service, method, request, ...}]}.
import { createFileRegistry, fromBinary, fromJson, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";

export async function outcomesOf({ descriptors, calls }, transports) {
  const bytes = Uint8Array.from(atob(descriptors), (character) => character.charCodeAt(0));
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  const outcomes = [];
  for (const call of calls) outcomes.push(await outcomeOf(call, registry, transports[call.transport]()));
  return outcomes;
}

async function outcomeOf({ service, method, request, headers, timeoutMs }, registry, transport) {
  const described = registry.getService(service);
  const declared = described.methods.find((each) => each.name === method);
  const client = createClient(described, transport);
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
