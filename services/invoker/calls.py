"""Whom a handler's call reaches: the schema's part of a call command, and the id of the callee.

Source: shared/spec/lifecycle.md, 5.1; shared/spec/service-protocol.md, 5.4.
"""

import msgspec

from perdure.base import ids
from perdure.base.clock import Clock, Random
from perdure.base.ids import InvocationId
from perdure.base.limits import OBJECT_KEY_BYTES_MAX
from perdure.codec.descriptors.errors import BadMessage
from perdure.codec.descriptors.keys import key_of
from perdure.model.deployment import Handler, InstanceType, Service
from perdure.model.invocation import Source
from perdure.model.journal import Call, CallTarget, OneWayCall
from perdure.model.target import HandlerType, ServiceType, Target, is_too_long
from perdure.registry.options import OptionsCache
from perdure.registry.schema import Schema
from services.invoker.machine.commands.refusal import CommandRefused, error_of
from services.invoker.machine.events import CallResolved
from services.invoker.machine.events import CommandRefused as RefusedItem
from services.invoker.machine.view import Live
from services.invoker.tracing import Tracer


class CallResolver:
    """Resolves call commands against the latest revisions."""

    def __init__(self, options: OptionsCache, clock: Clock, random: Random, tracer: Tracer | None = None) -> None:
        self._options = options
        self._clock = clock
        self._random = random
        self._tracer = tracer

    def resolve(
        self, schema: Schema, live: Live, command: Call | OneWayCall, *, wants_ack: bool, command_index: int, is_seed: bool = False
    ) -> CallResolved | RefusedItem:
        """Return the call with its callee, or why the attempt fails.

        Args:
            is_seed: Whether the caller is of the seed era.
        """
        try:
            service, handler = _callee(schema, command.target)
            key = _key(service, handler, command, is_seed=is_seed)
            if key is not None and is_too_long(key):
                raise CommandRefused(f"the key of the callee '{service.name}' has more than {OBJECT_KEY_BYTES_MAX} bytes", "RT0017")
        except CommandRefused as refusal:
            return RefusedItem(error_of(refusal, command, command_index))
        target = Target(
            service=service.name,
            handler=handler.name,
            key=key,
            handler_type=handler.handler_type,
            is_workflow=service.service_type is ServiceType.WORKFLOW,
        )
        idempotency_key = None if handler.handler_type is HandlerType.WORKFLOW else command.target.idempotency_key
        retention = self._options.of(schema, service, handler).retention(idempotency_key is not None)
        callee_id = self._callee_id(target, idempotency_key)
        context = None if self._tracer is None else self._tracer.command(live, command_index)
        record = live.record
        return CallResolved(
            command=msgspec.structs.replace(
                command,
                callee_id=bytes(callee_id),
                completion_retention_ms=retention.completion_ms,
                journal_retention_ms=retention.journal_ms,
            ),
            target=target,
            source=Source(kind="service", invocation_id=live.id, target=record.target),
            wants_ack=wants_ack,
            traceparent=record.traceparent if context is None else context.traceparent,
            tracestate=record.tracestate if context is None else context.state,
            starts_trace=context is not None and isinstance(command, OneWayCall),
        )

    def _callee_id(self, target: Target, idempotency_key: str | None) -> InvocationId:
        if target.handler_type is HandlerType.WORKFLOW:
            assert target.key is not None
            return ids.workflow_invocation_id(target.service, target.key)
        if idempotency_key is not None:
            return ids.idempotent_invocation_id(target.service, target.key, target.handler, idempotency_key)
        return ids.fresh_invocation_id(target.service, target.key, self._clock.now_ms(), self._random.bytes(10))


def _callee(schema: Schema, target: CallTarget) -> tuple[Service, Handler]:
    service = schema.services.get(target.service)
    handler = None if service is None else service.handlers.get(target.handler)
    if service is None or handler is None:
        raise CommandRefused(f"the service handler {target.service}/{target.handler} was not found", "RT0018")
    if target.key and not service.service_type.is_keyed:
        text = f"a key was provided, but the callee '{target.service}' is a Service. Only VirtualObjects or Workflows accept a key"
        raise CommandRefused(text, "RT0017")
    if target.idempotency_key is not None and not target.idempotency_key:
        raise CommandRefused("the idempotency key provided in the request is empty", "RT0017")
    return service, handler


def _key(service: Service, handler: Handler, command: Call | OneWayCall, *, is_seed: bool) -> str | None:
    """Return the key of the callee: that of the target, or for a protobuf service that within the request.

    Source: shared/spec/seed-era.md, 3.2; docs/guides/protobuf-services.md.
    """
    if service.instance_type is None:
        if is_seed:
            text = f"'{service.name}' is no protobuf service: its handlers cannot be called by those of protobuf services"
            raise CommandRefused(text, "RT0017")
        return command.target.key if service.service_type.is_keyed else None
    if service.instance_type is InstanceType.UNKEYED:
        return None
    assert handler.method is not None, "a protobuf service has methods"
    if handler.method.key_field is None:
        return ""
    try:
        key = key_of(command.parameter, handler.method.key_field).decode()
    except (BadMessage, UnicodeDecodeError) as error:
        raise CommandRefused(f"the request of '{service.name}/{handler.name}' has no key: {error}", "RT0017") from None
    if command.target.key not in ("", key):
        raise CommandRefused(f"the key of the call is {command.target.key!r}, that in the request of '{service.name}' {key!r}", "RT0017")
    return key
