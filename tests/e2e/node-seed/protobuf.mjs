// From the text of a .proto file to what the SDK of that time takes for a service: the shape of generated code, without generating any.
import protobuf from "protobufjs";
import { FileDescriptorProto } from "ts-proto-descriptors";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { protoMetadata: extensions } = require("@restatedev/restate-sdk/dist/generated/dev/restate/ext.js");

const TYPES = { double: 1, int64: 3, int32: 5, bool: 8, string: 9, bytes: 12 };
const SERVICE_TYPES = { UNKEYED: 0, KEYED: 1, SINGLETON: 2 };
const FIELD_TYPES = { KEY: 0, EVENT_PAYLOAD: 1, EVENT_METADATA: 2 };
const SERVICE_OPTION = "(dev.restate.ext.service_type)";
const FIELD_OPTION = "(dev.restate.ext.field)";

// Messages have scalar fields only.
export function descriptorOf(text, name, packageName) {
  const space = protobuf.parse(text, { keepCase: true }).root.lookup(packageName);
  const types = space.nestedArray.filter((each) => each instanceof protobuf.Type);
  const services = space.nestedArray.filter((each) => each instanceof protobuf.Service);
  const options = { services: {}, messages: {} };
  for (const service of services) {
    options.services[service.name] = { options: { service_type: SERVICE_TYPES[service.options[SERVICE_OPTION]] } };
  }
  for (const type of types) {
    const annotated = type.fieldsArray.filter((field) => field.options?.[FIELD_OPTION]);
    const fields = Object.fromEntries(annotated.map((field) => [field.name, { field: FIELD_TYPES[field.options[FIELD_OPTION]] }]));
    options.messages[type.name] = { fields };
  }
  const fileDescriptor = FileDescriptorProto.fromPartial({
    name,
    package: packageName,
    syntax: "proto3",
    dependency: ["dev/restate/ext.proto"],
    messageType: types.map((type) => ({ name: type.name, field: type.fieldsArray.map(fieldOf) })),
    service: services.map((service) => serviceOf(service, packageName)),
  });
  const references = Object.fromEntries(types.map((type) => [`.${packageName}.${type.name}`, codecOf(type)]));
  return { fileDescriptor, references, dependencies: [extensions], options };
}

function fieldOf(field) {
  return { name: field.name, number: field.id, label: 1, type: TYPES[field.type], jsonName: field.name, options: { uninterpretedOption: [] } };
}

function serviceOf(service, packageName) {
  const method = service.methodsArray.map((each) => ({
    name: each.name,
    inputType: `.${packageName}.${each.requestType}`,
    outputType: `.${packageName}.${each.responseType}`,
  }));
  return { name: service.name, method, options: { uninterpretedOption: [] } };
}

function codecOf(type) {
  return {
    encode: (message) => type.encode(type.fromObject(message)),
    decode: (bytes) => type.toObject(type.decode(bytes), { defaults: true, longs: Number }),
  };
}
