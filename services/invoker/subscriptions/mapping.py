"""From a record to the message that admits its invocation. Pure but for clock and randomness, which are handed in.

Source: shared/spec/lifecycle.md, section 11; shared/spec/seed-era.md, section 9.8.
"""

import base64
from typing import Protocol

from perdure.base import ids
from perdure.base.clock import Clock, Random
from perdure.base.errors import PerdureError
from perdure.base.limits import OBJECT_KEY_BYTES_MAX
from perdure.model.deployment import Handler, InstanceType, Service
from perdure.model.invocation import Source
from perdure.model.mail import InvokeMail
from perdure.model.subscription import Subscription
from perdure.model.target import HandlerType, ServiceType, Target, is_too_long
from perdure.registry.options import OptionsCache
from perdure.registry.schema import Schema
from perdure.registry.subscriptions import GROUP_ID
from services.invoker.subscriptions.source import Record

Attributes = tuple[tuple[str, str], ...]


class SchemaSource(Protocol):
    """What is registered, as this process knows it."""

    @property
    def current(self) -> Schema: ...


class HandlerGone(PerdureError):
    """The handler of a subscription is no longer registered."""

    hint = "Register a deployment with the handler again, or delete the subscription."


class UnusableKey(PerdureError):
    """A record's key is no text, or too long, and the handler's service is keyed."""

    hint = "Delete the subscription, and create it anew with a start behind the record."


class Mapper:
    """Makes invocations of the records of all subscriptions."""

    def __init__(self, schema: SchemaSource, options: OptionsCache, clock: Clock, random: Random) -> None:
        self._schema = schema
        self._options = options
        self._clock = clock
        self._random = random

    def mail_of(self, subscription: Subscription, record: Record) -> InvokeMail:
        """Return what admits the record's invocation.

        Raises:
            HandlerGone: There is no such handler now.
            UnusableKey: The key cannot be one.
        """
        schema = self._schema.current
        service = schema.services.get(subscription.service)
        handler = None if service is None else service.handlers.get(subscription.handler)
        if service is None or handler is None:
            raise HandlerGone(f"the handler {subscription.service}/{subscription.handler} is not registered")
        target = Target(
            service.name, handler.name, _key_of(service, record), handler.handler_type, service.service_type is ServiceType.WORKFLOW
        )
        retention = self._options.of(schema, service, handler).plain_retention
        return InvokeMail(
            invocation_id=self._id_of(target),
            target=target,
            body=_body_of(handler, subscription, record),
            headers=record.attributes,
            source=Source(kind="subscription", subscription_id=subscription.id),
            sink=None,
            completion_retention_ms=retention.completion_ms,
            journal_retention_ms=retention.journal_ms,
        )

    def _id_of(self, target: Target) -> ids.InvocationId:
        if target.handler_type is HandlerType.WORKFLOW:
            assert target.key is not None
            return ids.workflow_invocation_id(target.service, target.key)
        return ids.fresh_invocation_id(target.service, target.key, self._clock.now_ms(), self._random.bytes(10))


def _key_of(service: Service, record: Record) -> str | None:
    if not service.service_type.is_keyed:
        return None
    if service.instance_type is InstanceType.SINGLETON or record.key is None:
        return ""
    where = f"record {record.offset} of partition {record.partition}"
    try:
        key = record.key.decode()
    except UnicodeDecodeError:
        raise UnusableKey(f"the key of {where} is not UTF-8, and {service.name} is keyed: reading stops before it") from None
    if is_too_long(key):
        raise UnusableKey(f"the key of {where} has more than {OBJECT_KEY_BYTES_MAX} bytes: reading stops before it")
    return key


def _body_of(handler: Handler, subscription: Subscription, record: Record) -> bytes:
    if handler.method is None:
        return record.value
    from services.invoker.subscriptions.seed_events import request_of

    group = subscription.options.get(GROUP_ID, subscription.id)
    return request_of(handler.method, record, f"{group}{subscription.topic}{record.partition}")


def kafka_attributes(
    subscription_id: str, topic: str, partition: int, offset: int, timestamp_ms: int | None, key: bytes | None
) -> Attributes:
    """Return what the handler is told of a Kafka record."""
    attributes = [("kafka.offset", str(offset)), ("kafka.topic", topic), ("kafka.partition", str(partition))]
    if timestamp_ms is not None:
        attributes.append(("kafka.timestamp", str(timestamp_ms)))
    attributes.append(("restate.subscription.id", subscription_id))
    if key is not None:
        attributes.append(("kafka.key", base64.urlsafe_b64encode(key).decode()))
    return tuple(attributes)


def jetstream_attributes(subscription_id: str, stream: str, subject: str, sequence: int, timestamp_ms: int) -> Attributes:
    """Return what the handler is told of a message of a stream."""
    return (
        ("nats.stream", stream),
        ("nats.subject", subject),
        ("nats.sequence", str(sequence)),
        ("nats.timestamp", str(timestamp_ms)),
        ("restate.subscription.id", subscription_id),
    )
