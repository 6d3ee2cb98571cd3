"""gRPC on the node port: whatever a client sends ends in a status."""

import asyncio
import functools
from collections.abc import MutableMapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.ids import invocation_id, partition_of
from perdure.codec.rpc.grpc import encode_message
from services.nodectl.cluster import Cluster, ClusterView
from services.nodectl.health import health_of
from services.nodectl.rpc.documents import key_range
from services.nodectl.rpc.server import GrpcServer

OK, UNIMPLEMENTED, INTERNAL = 0, 12, 13
NOT_SERVING = encode_message(b"\x08\x02")
STATUSES = range(17)


class StillCluster:
    """A suite without a process, or one that cannot be looked at."""

    partitions = 3
    roles = ("invoker",)
    is_ready = True

    def __init__(self, error: Exception | None = None) -> None:
        self.settings: dict[str, object] = {}
        self._error = error

    async def view(self, base_url: str = "") -> ClusterView:
        if self._error is not None:
            raise self._error
        health = health_of([], reasons=["no"], schema_version=1, cluster_name="c", started_at_ms=0, now_ms=5_000, is_stopping=False)
        return ClusterView(
            health=health,
            heartbeats=[],
            leases={},
            owners={},
            placements={},
            lags_ms={},
            partitions=self.partitions,
            started_at_ms=0,
            now_ms=5_000,
            base_url=base_url,
        )

    async def is_serving(self, service: str) -> bool | None:
        return False if service in ("", *self.roles) else None


@functools.cache
def a_server(error: Exception | None = None) -> GrpcServer:
    stopping = asyncio.Event()
    stopping.set()  # so that watches end with their first answer
    return GrpcServer(cast("Cluster", StillCluster(error)), stopping)


def call(path: str, *bodies: bytes, server: GrpcServer | None = None) -> tuple[int, str, bytes]:
    """Return status, message and the answers of one call."""
    events: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": True} for body in bodies]
    events.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        if not events:
            await asyncio.Event().wait()
        return events.pop(0)

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event)

    scope = {"path": path, "scheme": "http", "headers": [(b"content-type", b"application/grpc"), (b"host", b"here")]}
    asyncio.run((server or a_server()).handle(scope, receive, send))
    headers = {name: value for event in sent for name, value in event.get("headers", [])}
    answers = b"".join(event.get("body", b"") for event in sent)
    return int(headers[b"grpc-status"]), headers.get(b"grpc-message", b"").decode(), answers


def methods() -> list[str]:
    """All but `Query`, which starts processes."""
    services = a_server()._served.descriptors.services.values()
    return sorted(f"/{service.full_name}/{name}" for service in services for name in service.methods if name != "Query")


@given(st.sampled_from(methods()), st.lists(st.binary(max_size=40), max_size=3))
def test_any_bytes_end_in_a_status(path: str, bodies: list[bytes]) -> None:
    assert call(path, *bodies)[0] in STATUSES


@given(st.sampled_from(methods()), st.binary(max_size=40))
def test_any_message_ends_in_a_status(path: str, message: bytes) -> None:
    assert call(path, encode_message(message))[0] in STATUSES


@given(st.text(st.characters(codec="ascii"), max_size=30))
def test_a_path_that_is_not_there_is_unimplemented(path: str) -> None:
    assert call(f"/{path}")[0] == UNIMPLEMENTED


def test_what_goes_wrong_inside_is_not_told() -> None:
    status, message, _ = call("/restate.node_ctl_svc.NodeCtlSvc/GetIdent", encode_message(b""), server=a_server(ValueError("secret")))
    assert (status, "secret" in message) == (INTERNAL, False)


def test_a_client_that_leaves_ends_its_call() -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event)

    scope = {"path": "/grpc.health.v1.Health/Watch", "scheme": "http", "headers": [(b"content-type", b"application/grpc")]}
    asyncio.run(a_server().handle(scope, receive, send))
    assert all(event.get("body", b"") == b"" for event in sent)


@pytest.mark.parametrize("method", ["Check", "Watch"])
def test_a_suite_with_a_reason_against_it_is_not_serving(method: str) -> None:
    assert call(f"/grpc.health.v1.Health/{method}", encode_message(b"")) == (OK, "", NOT_SERVING)


@given(st.integers(0, 2**64 - 1), st.integers(1, 4096))
def test_key_ranges_are_those_by_which_invocations_are_placed(key: int, partitions: int) -> None:
    number = partition_of(invocation_id(key, bytes(16)), partitions)
    start, end = key_range(number, partitions)
    assert start <= key <= end
