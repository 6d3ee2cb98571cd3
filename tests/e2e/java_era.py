"""Services as the Java SDK of spring 2024 served them: their descriptors are those of protoc, with the options as extensions.

ASGI app: `app`. It speaks that SDK's protocol by itself, for handlers that read and write state and return.
"""

import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.service_protocol.entries.types import EntryType
from perdure.codec.service_protocol.frames import encode_frame
from perdure.codec.service_protocol.seed import messages_pb2 as wire
from perdure.deployments.seed import messages_pb2 as discovery
from perdure.sim.wire import FrameReader

PACKAGE: Final = os.environ.get("SERVICE_PREFIX", "") + "java"
OPTIONS_FILE: Final = """
    syntax = "proto3";
    package dev.restate.ext;
    option java_package = "dev.restate.generated";
    import "google/protobuf/descriptor.proto";
    enum ServiceType { UNKEYED = 0; KEYED = 1; SINGLETON = 2; }
    enum FieldType { KEY = 0; EVENT_PAYLOAD = 1; EVENT_METADATA = 2; }
    extend google.protobuf.ServiceOptions { ServiceType service_type = 51234; }
    extend google.protobuf.FieldOptions { FieldType field = 51234; }
"""
SHOP_FILE: Final = f"""
    syntax = "proto3";
    package {PACKAGE};
    option java_package = "my.shop";
    option java_multiple_files = true;
    import "dev/restate/ext.proto";
    import "google/protobuf/empty.proto";
    service Cart {{
      option (dev.restate.ext.service_type) = KEYED;
      rpc Add (Line) returns (Content);
      rpc Show (Which) returns (Content);
      rpc Happened (Event) returns (google.protobuf.Empty);
    }}
    service Echo {{
      option (dev.restate.ext.service_type) = UNKEYED;
      rpc Say (Line) returns (Line);
    }}
    message Which {{ string cart_id = 1 [(dev.restate.ext.field) = KEY]; }}
    message Line {{
      enum Size {{ SMALL = 0; LARGE = 1; }}
      message Note {{ string text = 1; }}
      oneof item {{ string item_name = 1; int64 item_number = 3; }}
      string cart_id = 2 [(dev.restate.ext.field) = KEY];
      optional int32 amount = 4;
      Size size = 5;
      repeated Note notes = 6;
      map<string, int32> labels = 7;
    }}
    message Content {{ repeated Line lines = 1; }}
    message Event {{
      string id = 1 [(dev.restate.ext.field) = KEY];
      bytes body = 2 [(dev.restate.ext.field) = EVENT_PAYLOAD];
      map<string, string> attributes = 3 [(dev.restate.ext.field) = EVENT_METADATA];
    }}
"""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def compiled() -> FileDescriptorSet:
    """Return what protoc makes of the files, in the order of no use and without the JSON names that generated Java leaves out."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        files = {"dev/restate/ext.proto": OPTIONS_FILE, "shop.proto": SHOP_FILE}
        for path, text in files.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(text)
        well_known = Path(protoc.__file__).parent / "_proto"
        arguments = [f"-I{directory}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={directory}/out", "shop.proto"]
        assert protoc.main(["protoc", *arguments]) == 0
        whole = FileDescriptorSet.FromString((directory / "out").read_bytes())
    for file in whole.file:
        for message in file.message_type:
            _forget_json_names(message)
    return FileDescriptorSet(file=reversed(whole.file))


def _forget_json_names(message: DescriptorProto) -> None:
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        _forget_json_names(nested)


FILES: Final = compiled()
MESSAGES: Final = Descriptors(FILES.SerializeToString())
DISCOVERED: Final = discovery.DiscoveryResponse(files=FILES, services=[f"{PACKAGE}.Cart", f"{PACKAGE}.Echo"]).SerializeToString()


def answer_of(method: str, state: dict[bytes, bytes], request: bytes) -> tuple[bytes | None, bytes]:
    """Return the new state of the key `lines`, if it is to change, and the response."""
    content = MESSAGES.message_class(f"{PACKAGE}.Content").FromString(state.get(b"lines", b""))
    match method:
        case "Say":
            return None, request
        case "Show":
            return None, content.SerializeToString()
        case "Add":
            content.lines.add().ParseFromString(request)
        case _:
            event = MESSAGES.message_class(f"{PACKAGE}.Event").FromString(request)
            labels = {"offset": int(event.attributes["kafka.offset"])}
            content.lines.add(cart_id=event.id, item_name=msgspec.json.decode(event.body, type=str), labels=labels)
    lines = content.SerializeToString()
    return lines, b"" if method == "Happened" else lines


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer a discovery or an invocation."""
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": f"{event['type']}.complete"})
            if event["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/discover":
        await _answer(send, b"application/proto", DISCOVERED)
        return
    start, request = await _opening(receive)
    lines, response = answer_of(scope["path"].rpartition("/")[2], {entry.key: entry.value for entry in start.state}, request)
    body = b"" if lines is None else encode_frame(EntryType.SET_STATE, wire.SetState(key=b"lines", value=lines).SerializeToString())
    body += encode_frame(EntryType.OUTPUT, wire.Result(value=response).SerializeToString()) + encode_frame(EntryType.END, b"")
    await _answer(send, b"application/restate", body)


async def _opening(receive: Receive) -> tuple[wire.Start, bytes]:
    """Return the first frame of an attempt, and the request in the second."""
    reader, frames = FrameReader(), list[tuple[int, bytes]]()
    while len(frames) < 2:
        frames += reader.receive((await receive())["body"])
    return wire.Start.FromString(frames[0][1]), wire.Result.FromString(frames[1][1]).value


async def _answer(send: Send, content_type: bytes, body: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type)]})
    await send({"type": "http.response.body", "body": body})
