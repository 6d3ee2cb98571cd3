"""Whom a call reaches where one side is a protobuf service of the seed era: the key lies within the request."""

import pytest

from perdure.base.clock import SystemRandom
from perdure.model.deployment import Handler, InstanceType, ProtobufMethod, Service
from perdure.model.journal import Call, CallTarget
from perdure.model.target import HandlerType, ServiceType, Target
from perdure.registry.options import OptionsCache, ServerDefaults
from perdure.registry.schema import Schema, schema_of
from services.invoker.calls import CallResolver
from services.invoker.machine.events import CallResolved, CommandRefused
from tests.unit.invoker.builders import Machine


class StillClock:
    def now_ms(self) -> int:
        return 1_000


def a_service(name: str, instance_type: InstanceType | None, key_field: int | None = None) -> Service:
    is_plain = instance_type is InstanceType.UNKEYED
    method = None if instance_type is None else ProtobufMethod("Request", "Reply", key_field)
    handler = Handler("Add", HandlerType.PLAIN if is_plain else HandlerType.EXCLUSIVE, method=method)
    kind = ServiceType.SERVICE if is_plain else ServiceType.VIRTUAL_OBJECT
    return Service(name, kind, 1, "dp_a", {"Add": handler}, instance_type=instance_type)


SCHEMA: Schema = schema_of(
    1,
    [],
    [
        a_service("Keyed", InstanceType.KEYED, 3),
        a_service("Single", InstanceType.SINGLETON),
        a_service("Plain", InstanceType.UNKEYED),
        a_service("Today", None),
    ],
)


def resolve(service: str, parameter: bytes = b"", *, key: str = "", is_seed: bool = True) -> CallResolved | CommandRefused:
    resolver = CallResolver(OptionsCache(ServerDefaults()), StillClock(), SystemRandom())
    call = Call(CallTarget(service, "Add", key), parameter, (), 2, 1)
    return resolver.resolve(SCHEMA, Machine().running(1), call, wants_ack=False, command_index=1, is_seed=is_seed)


def target_of(resolved: CallResolved | CommandRefused) -> Target:
    assert isinstance(resolved, CallResolved)
    return resolved.target


@pytest.mark.parametrize("is_seed", [True, False])
@pytest.mark.parametrize(
    ("service", "parameter", "key"),
    [
        ("Keyed", b"\x1a\x02k1", "k1"),
        ("Keyed", b"\x08\x05\x1a\x02k1\x1a\x02k2", "k1"),
        ("Keyed", b"", ""),
        ("Single", b"anything", ""),
        ("Plain", b"\x1a\x02k1", None),
    ],
)
def test_the_key_of_a_protobuf_service_is_in_its_request(service: str, parameter: bytes, key: str | None, is_seed: bool) -> None:
    assert target_of(resolve(service, parameter, is_seed=is_seed)).key == key


@pytest.mark.parametrize("parameter", [b"\x18\x05", b"\x1a\x01\xff", b"\x1a\x09k"])
def test_a_request_whose_key_cannot_be_read_fails_the_attempt(parameter: bytes) -> None:
    refused = resolve("Keyed", parameter)
    assert isinstance(refused, CommandRefused)
    assert refused.error.doc_code == "RT0017"
    assert "Keyed/Add" in refused.error.message


def test_a_call_of_today_may_name_the_key_that_is_in_the_request_and_no_other() -> None:
    assert target_of(resolve("Keyed", b"\x1a\x02k1", key="k1", is_seed=False)).key == "k1"
    refused = resolve("Keyed", b"\x1a\x02k1", key="k2", is_seed=False)
    assert isinstance(refused, CommandRefused)
    assert "'k2'" in refused.error.message


@pytest.mark.parametrize(("key", "fits"), [("k" * 4_000, True), ("k" * 4_001, False), ("é" * 2_001, False), ("\0" * 2_001, False)])
def test_a_key_fits_into_the_store_or_fails_the_attempt(key: str, fits: bool) -> None:
    resolved = resolve("Today", b"1", key=key, is_seed=False)
    assert isinstance(resolved, CallResolved) is fits
    if isinstance(resolved, CommandRefused):
        assert "more than 4000 bytes" in resolved.error.message


def test_a_handler_of_today_is_called_by_its_key() -> None:
    assert target_of(resolve("Today", b"1", key="k", is_seed=False)).key == "k"
