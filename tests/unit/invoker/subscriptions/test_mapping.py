"""From records to invocations: key, body, what the handler is told, and what cannot be mapped."""

import msgspec
import pytest

from perdure.base import ids
from perdure.model.deployment import HandlerOptions, InstanceType, ProtobufMethod, Service
from perdure.model.invocation import Source
from perdure.model.mail import InvokeMail
from perdure.model.subscription import Broker, Subscription
from perdure.model.target import HandlerType, ServiceType, Target
from perdure.registry.options import OptionsCache, ServerDefaults
from perdure.registry.schema import Schema
from perdure.sim.loop import SimRandom
from services.invoker.subscriptions.mapping import HandlerGone, Mapper, UnusableKey, jetstream_attributes, kafka_attributes
from services.invoker.subscriptions.source import Record
from tests.unit.registry.builders import a_handler, a_service

NOW_MS = 1_700_000_000_000
SUBSCRIPTION = Subscription("sub_1x", Broker.KAFKA, "mine", "orders", "Cart", "add", 0, {"group.id": "ours"})
ATTRIBUTES = (("kafka.offset", "7"), ("kafka.topic", "orders"))


class FixedClock:
    def now_ms(self) -> int:
        return NOW_MS


class FixedSchema:
    def __init__(self, *services: Service) -> None:
        self.current = Schema(services={service.name: service for service in services})


def a_cart(kind: ServiceType, handler: HandlerType, **fields: object) -> Service:
    return msgspec.structs.replace(a_service("Cart", kind, a_handler("add", handler)), **fields)


OBJECT = a_cart(ServiceType.VIRTUAL_OBJECT, HandlerType.EXCLUSIVE)


def a_record(key: bytes | None = b"ada", value: bytes = b'{"n":1}') -> Record:
    return Record(3, 7, key, value, ATTRIBUTES)


def mapped(service: Service, record: Record) -> InvokeMail:
    mapper = Mapper(FixedSchema(service), OptionsCache(ServerDefaults()), FixedClock(), SimRandom(1, "mapping"))
    return mapper.mail_of(SUBSCRIPTION, record)


def test_a_record_for_an_object_goes_to_its_key_with_its_value_as_body() -> None:
    mail = mapped(OBJECT, a_record())
    assert mail.target == Target("Cart", "add", "ada", HandlerType.EXCLUSIVE)
    assert mail.body == b'{"n":1}'
    assert mail.headers == ATTRIBUTES
    assert mail.source == Source(kind="subscription", subscription_id="sub_1x")
    assert mail.sink is None
    assert mail.invocation_id[:8] == ids.partition_key_of_key("ada").to_bytes(8, "big")


@pytest.mark.parametrize(
    ("service", "key", "expected"),
    [
        (OBJECT, b"", ""),
        (OBJECT, None, ""),
        (OBJECT, "é".encode(), "é"),
        (a_cart(ServiceType.VIRTUAL_OBJECT, HandlerType.EXCLUSIVE, instance_type=InstanceType.SINGLETON), b"ada", ""),
        (a_cart(ServiceType.SERVICE, HandlerType.PLAIN), b"ada", None),
        (a_cart(ServiceType.SERVICE, HandlerType.PLAIN), b"\xff", None),
    ],
)
def test_the_key_is_that_of_the_record_where_the_service_has_one(service: Service, key: bytes | None, expected: str | None) -> None:
    assert mapped(service, a_record(key)).target.key == expected


@pytest.mark.parametrize("key", [b"\xff", b"k" * 4_001])
def test_a_key_that_is_no_text_or_too_long_stops_at_its_record(key: bytes) -> None:
    with pytest.raises(UnusableKey, match="record 7 of partition 3"):
        mapped(OBJECT, a_record(key))


@pytest.mark.parametrize("service", [a_service("Other"), a_service("Cart", ServiceType.SERVICE, a_handler("other"))])
def test_a_handler_that_is_gone_is_told(service: Service) -> None:
    with pytest.raises(HandlerGone, match="Cart/add"):
        mapped(service, a_record())


def test_a_workflow_runs_once_per_key() -> None:
    service = a_cart(ServiceType.WORKFLOW, HandlerType.WORKFLOW)
    mail = mapped(service, a_record())
    assert mail.invocation_id == ids.workflow_invocation_id("Cart", "ada")
    assert mail.target.is_workflow
    assert mail.is_deterministic


def test_invocations_are_kept_as_long_as_plain_calls() -> None:
    options = HandlerOptions(journal_retention_ms=5_000, idempotency_retention_ms=9_000)
    mail = mapped(a_cart(ServiceType.SERVICE, HandlerType.PLAIN, options=options), a_record())
    assert (mail.completion_retention_ms, mail.journal_retention_ms) == (5_000, 5_000)


def test_each_record_for_a_service_is_an_invocation_of_its_own() -> None:
    mapper = Mapper(
        FixedSchema(a_cart(ServiceType.SERVICE, HandlerType.PLAIN)), OptionsCache(ServerDefaults()), FixedClock(), SimRandom(1, "mapping")
    )
    assert mapper.mail_of(SUBSCRIPTION, a_record()).invocation_id != mapper.mail_of(SUBSCRIPTION, a_record()).invocation_id


@pytest.mark.parametrize(
    ("timestamp_ms", "key", "tail"),
    [
        (None, None, ()),
        (12, None, ()),
        (12, b"", (("kafka.key", ""),)),
        (12, b"\xfb\xff", (("kafka.key", "-_8="),)),
    ],
)
def test_a_kafka_record_is_described_by_headers(timestamp_ms: int | None, key: bytes | None, tail: tuple[tuple[str, str], ...]) -> None:
    timestamp = () if timestamp_ms is None else (("kafka.timestamp", "12"),)
    assert kafka_attributes("sub_1x", "orders", 3, 7, timestamp_ms, key) == (
        ("kafka.offset", "7"),
        ("kafka.topic", "orders"),
        ("kafka.partition", "3"),
        *timestamp,
        ("restate.subscription.id", "sub_1x"),
        *tail,
    )


def test_a_message_of_a_stream_is_described_by_headers() -> None:
    assert dict(jetstream_attributes("sub_1x", "ORDERS", "orders.ada", 7, 12)) == {
        "nats.stream": "ORDERS",
        "nats.subject": "orders.ada",
        "nats.sequence": "7",
        "nats.timestamp": "12",
        "restate.subscription.id": "sub_1x",
    }


def seed_request(method: ProtobufMethod, record: Record) -> bytes:
    service = a_service("Cart", ServiceType.VIRTUAL_OBJECT, a_handler("add", HandlerType.EXCLUSIVE, method=method))
    return mapped(service, record).body


def test_an_event_of_the_seed_era_carries_the_record_as_it_is() -> None:
    body = seed_request(ProtobufMethod("dev.restate.Event", "google.protobuf.Empty", key_field=1), a_record(b"ab", b"xyz"))
    assert body == (
        b"\x0a\x0foursorders3YWI="  # ordering key: group, topic, partition, key
        b"\x12\x02ab"
        b"\x1a\x03xyz"
        b"\x7a\x11\x0a\x0ckafka.offset\x12\x017"
        b"\x7a\x15\x0a\x0bkafka.topic\x12\x06orders"
    )


def test_an_event_without_key_orders_by_partition() -> None:
    body = seed_request(ProtobufMethod("dev.restate.Event", "google.protobuf.Empty"), Record(3, 7, None, b"", ()))
    assert body == b"\x0a\x0boursorders3"


def test_another_message_of_the_seed_era_gets_what_its_fields_are_annotated_for() -> None:
    method = ProtobufMethod("shop.Add", "google.protobuf.Empty", key_field=1, event_payload_field=3, event_metadata_field=15)
    assert seed_request(method, Record(3, 7, b"ada", b"x" * 200, (("a", "b"),))) == (
        b"\x0a\x03ada" + b"\x1a\xc8\x01" + b"x" * 200 + b"\x7a\x06\x0a\x01a\x12\x01b"
    )
    assert seed_request(ProtobufMethod("shop.Add", "google.protobuf.Empty"), a_record()) == b""
