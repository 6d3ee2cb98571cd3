"""Clients that know of services only what reflection tells: grpcio, and the official Connect clients under node."""

import base64
import json
import subprocess
from typing import Any, Final

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.e2e.endpoint import NODE, NODE_ROOM

TRANSPORTS: Final = (
    "connect-json",
    "connect-binary",
    "connect-gzip",
    "grpc",
    "grpc-gzip",
    "grpc-web",
    "web-connect",
    "web-connect-binary",
    "web-grpc-web",
)


class Reflected:
    """Calls any method at an ingress over grpcio, without a `.proto` at hand."""

    def __init__(self, port: int) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._database = ProtoReflectionDescriptorDatabase(self.channel)
        self._pool = DescriptorPool(self._database)

    def close(self) -> None:
        """Close the connection."""
        self.channel.close()

    def services(self) -> set[str]:
        """Return the names of all services that are there now."""
        return set(self._database.get_services())

    def call(self, path: str, *, metadata: dict[str, str] | None = None, timeout_s: float = 60, **fields: Any) -> Any:
        """Return the response to a request with these fields. Raises `grpc.RpcError`."""
        return self.exchange(path, metadata=metadata, timeout_s=timeout_s, **fields)[0]

    def exchange(
        self, path: str, *, metadata: dict[str, str] | None = None, timeout_s: float = 60, **fields: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Return the response and the metadata that came with it."""
        service, _, name = path.rpartition("/")
        method = self._pool.FindServiceByName(service).FindMethodByName(name)
        request, response = (message_factory.GetMessageClass(each) for each in (method.input_type, method.output_type))
        stub = self.channel.unary_unary(f"/{path}", request_serializer=_bytes_of, response_deserializer=response.FromString)
        answer, call = stub.with_call(request(**fields), timeout=timeout_s, metadata=tuple((metadata or {}).items()))
        return answer, dict(call.initial_metadata())

    def files_of(self, *symbols: str) -> FileDescriptorSet:
        """Return the files that define symbols, each after all that it needs."""
        stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)
        asked = (reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol) for symbol in symbols)
        files = {}
        for answer in stub.ServerReflectionInfo(asked, timeout=60):
            for each in answer.file_descriptor_response.file_descriptor_proto:
                file = FileDescriptorProto.FromString(each)
                files[file.name] = file
        return FileDescriptorSet(file=_sorted(files))


def _sorted(files: dict[str, FileDescriptorProto]) -> list[FileDescriptorProto]:
    waiting, order = dict(files), list[FileDescriptorProto]()
    while waiting:
        ready = [name for name, file in waiting.items() if not any(needed in waiting for needed in file.dependency)]
        order += [waiting.pop(name) for name in ready]
    return order


def _bytes_of(message: Message) -> bytes:
    return message.SerializeToString()


def failure_of(call: Any) -> grpc.RpcError:
    """Return the error that a call ends with."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"the call succeeded: {answer}")


def connect(url: str, files: FileDescriptorSet, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make calls with the official clients; return what each ended with."""
    described = base64.b64encode(files.SerializeToString()).decode()
    program = json.dumps({"url": url, "descriptors": described, "calls": calls})
    ended = subprocess.run([NODE, NODE_ROOM / "connect.mjs"], input=program, capture_output=True, text=True, timeout=110, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
