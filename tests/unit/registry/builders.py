"""Builders with named defaults, and a transaction on a dictionary."""

from collections.abc import Sequence
from typing import Any

from perdure.model.deployment import Deployment, Handler, HandlerOptions, ProtocolMode, Service
from perdure.model.target import HandlerType, ServiceType


def a_handler(name: str = "greet", kind: HandlerType = HandlerType.PLAIN, **fields: Any) -> Handler:
    return Handler(name=name, handler_type=kind, **fields)


def a_service(
    name: str = "Greeter",
    kind: ServiceType = ServiceType.SERVICE,
    *handlers: Handler,
    revision: int = 0,
    deployment_id: str = "",
    options: HandlerOptions | None = None,
) -> Service:
    return Service(
        name=name,
        service_type=kind,
        revision=revision,
        deployment_id=deployment_id,
        handlers={handler.name: handler for handler in handlers or (a_handler(),)},
        options=options or HandlerOptions(),
    )


def a_deployment(deployment_id: str = "dp_a", url: str = "http://a:9080", created_at_ms: int = 1_000, **fields: Any) -> Deployment:
    return Deployment(
        id=deployment_id,
        url=url,
        protocol_mode=ProtocolMode.BIDI_STREAM,
        http_version="HTTP/2.0",
        protocol_version_min=5,
        protocol_version_max=7,
        created_at_ms=created_at_ms,
        **fields,
    )


class DictTransaction:
    """The transaction interface on a dictionary: no isolation, which the tests of the stores hold."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        found = sorted(((key, value) for key, value in self.rows.items() if begin <= key < end), reverse=reverse)
        return found[:limit] if limit else found

    def get_ranges(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[list[tuple[bytes, bytes]]]:
        return [self.get_range(begin, end) for begin, end in ranges]

    def set(self, key: bytes, value: bytes) -> None:
        self.rows[key] = value

    def clear(self, key: bytes) -> None:
        self.rows.pop(key, None)

    def clear_range(self, begin: bytes, end: bytes) -> None:
        for key, _ in self.get_range(begin, end):
            del self.rows[key]

    def add(self, key: bytes, delta: int) -> None:
        value = int.from_bytes(self.rows.get(key, b""), "little", signed=True)
        self.rows[key] = (value + delta).to_bytes(8, "little", signed=True)

    def set_versionstamped_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        raise NotImplementedError("the registry does not use versionstamps")
