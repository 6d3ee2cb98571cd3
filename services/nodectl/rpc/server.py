"""gRPC on the node port: from a call's path to what answers it, and back.

Imported with the first call: protobuf takes 6 MB, and most suites are asked over HTTP.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, MutableMapping
from typing import Any, Final

import structlog
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message

from perdure.base.limits import KIB
from perdure.codec.descriptors.files import ServedFiles
from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.rpc.grpc import ServerCall
from perdure.codec.rpc.reflection import METHOD, REFLECTION_FILES, REFLECTION_SERVICES, Reflection
from perdure.codec.rpc.status import CallFailed, Status
from perdure.process.streams import Receive, Send, answer_each
from services.nodectl.cluster import Cluster
from services.nodectl.rpc.cluster_ctrl import cluster_methods
from services.nodectl.rpc.era import era_methods
from services.nodectl.rpc.health import HealthService
from services.nodectl.rpc.metadata_proxy import metadata_methods
from services.nodectl.rpc.method import Methods
from services.nodectl.rpc.node_ctl import node_methods
from services.nodectl.rpc.proto import (
    cluster_ctrl_pb2,
    common_pb2,
    era_cluster_controller_pb2,
    era_common_pb2,
    era_node_ctrl_pb2,
    era_worker_pb2,
    health_pb2,
    metadata_proxy_pb2,
    node_ctl_pb2,
)

REQUEST_BYTES_MAX: Final = 64 * KIB
_FILES: Final = (
    *(common_pb2, node_ctl_pb2, cluster_ctrl_pb2, metadata_proxy_pb2, health_pb2),
    *(era_common_pb2, era_node_ctrl_pb2, era_cluster_controller_pb2, era_worker_pb2),
)
_INSTEAD: Final = {
    "CreatePartitionSnapshot": "copy an embedded store with `perdure backup`, and FoundationDB with its own tools",
    "SetClusterConfiguration": "settings are read at start",
    "Put": "move a partition with `perdure move`, and drain a process with `perdure drain`",
    "Delete": "move a partition with `perdure move`, and drain a process with `perdure drain`",
    "TriggerCompaction": "the store looks after itself",
}

log = structlog.get_logger("perdure.nodectl")


class GrpcServer:
    """Answers gRPC calls.

    Args:
        stopping: Ends watches.
    """

    def __init__(self, cluster: Cluster, stopping: asyncio.Event) -> None:
        self._served = _Served()
        self._reflection = Reflection(lambda: self._served)
        self._cluster = cluster
        names = ["", *cluster.roles, *self._served.descriptors.services]
        self._methods: Methods = {
            **HealthService(names, self._is_serving, stopping).methods(),
            **node_methods(cluster),
            **cluster_methods(cluster),
            **metadata_methods(cluster),
            **era_methods(cluster),
        }

    async def handle(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Take one call from its request to its status."""
        call = ServerCall(scope["headers"], message_bytes_max=REQUEST_BYTES_MAX)
        status, text = Status.OK, ""
        try:
            await self._dispatch(scope, call, receive, send)
        except CallFailed as error:
            status, text = error.call_status, error.message
        except Exception as error:
            log.exception("call_failed", path=scope["path"], error=type(error).__name__)
            status, text = Status.INTERNAL, "internal error of nodectl; its log tells more"
        for message in call.end(status, text):
            await send(message)

    async def _dispatch(self, scope: MutableMapping[str, Any], call: ServerCall, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        service, _, name = path.removeprefix("/").partition("/")
        if service in REFLECTION_SERVICES and name == METHOD:
            await answer_each(call, lambda message: self._reflection.answer(service, message), receive, send)
            return
        method = self._methods.get(path)
        if method is None:
            raise self._unimplemented(path, service, name)
        request = method.parse(await _read(call, receive))
        host = next((value for name, value in scope["headers"] if name in (b"host", b":authority")), b"")
        answers = method.answers(request, f"{scope['scheme']}://{host.decode('latin-1')}/")
        await _until_gone(_send_all(answers, call, send), receive)

    def _unimplemented(self, path: str, service: str, name: str) -> CallFailed:
        if service not in self._served.descriptors.services:
            text = f"there is no service {service}; reflection lists those of this port"
        elif name not in self._served.descriptors.service(service).methods:
            text = f"there is no method {path}; reflection lists those of {service}"
        else:
            instead = _INSTEAD.get(name, "`perdure status` shows partitions, their owners and how far behind they are")
            text = f"{name} means nothing here, where partitions are kept in a store without logs and metadata of their own; {instead}"
        return CallFailed(Status.UNIMPLEMENTED, text)

    async def _is_serving(self, service: str) -> bool | None:
        return self._cluster.is_ready if service in self._served.descriptors.services else await self._cluster.is_serving(service)


class _Served:
    """All services of this port, as reflection sees them: one set of files."""

    def __init__(self) -> None:
        own = [FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb) for module in _FILES]
        self.descriptors = Descriptors(FileDescriptorSet(file=[*own, *REFLECTION_FILES]).SerializeToString())
        self.files = ServedFiles(self.descriptors)

    def listed(self) -> Iterator[str]:
        return iter(self.descriptors.services)

    def public(self) -> "Iterable[_Served]":
        return (self,)


async def _read(call: ServerCall, receive: Receive) -> bytes:
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise CallFailed(Status.CANCELLED, "the client went away")
        request = call.receive(event.get("body", b""), is_last=not event.get("more_body", False))
        if request is not None:
            return request


async def _send_all(answers: AsyncIterator[Message], call: ServerCall, send: Send) -> None:
    async for answer in answers:
        for message in call.send(answer.SerializeToString()):
            await send(message)


async def _until_gone(work: Awaitable[None], receive: Receive) -> None:
    """Wait for the work, and end it with the client."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait([working, gone], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise CallFailed(Status.CANCELLED, "the client went away")
        working.result()
    finally:
        working.cancel()
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
