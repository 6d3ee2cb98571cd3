"""Calls that a handler of the seed era makes to the server's own services: what they do, and what they answer.

They are done in the step that journals them, and so answered at once; what is wrong with a request is its answer.
Source: shared/spec/seed-era.md, 4.5 and 9.9.
"""

import functools
from typing import Any, Final

from perdure.base.ids import InvalidId, InvocationId, format_invocation_id, parse_awakeable_id
from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.rpc.failures import failure_of
from perdure.codec.rpc.restate_services import INGRESS, argument_of, awakeable_result, invoke_response, parse_request
from perdure.codec.rpc.status import CallFailed, Status
from perdure.model.journal import Call, CallTarget, OneWayCall
from perdure.model.mail import InvokeMail, SignalMail
from perdure.model.result import Success
from perdure.registry.schema import Schema
from services.invoker.calls import CallResolver
from services.invoker.machine.commands.refusal import CommandRefused, error_of
from services.invoker.machine.events import BuiltInCalled, CallResolved
from services.invoker.machine.events import CommandRefused as RefusedItem
from services.invoker.machine.view import Live

DEPLOYMENTS_KEPT: Final = 8
"""Whose descriptors stay in memory, for calls that bring their argument as JSON."""

_descriptors_of = functools.lru_cache(DEPLOYMENTS_KEPT)(Descriptors)


def call_built_in(
    resolver: CallResolver, schema: Schema, live: Live, command: Call | OneWayCall, *, wants_ack: bool, command_index: int
) -> BuiltInCalled | RefusedItem:
    """Return what a call to a service under `dev.restate` does, or why the attempt fails."""
    target = command.target
    try:
        asked = parse_request(target.service, target.handler, command.parameter)
        if target.service == INGRESS:
            mail = _start(resolver, schema, live, command, asked, command_index)
            answer = invoke_response(format_invocation_id(mail.invocation_id))
        else:
            mail, answer = _completion(command, asked), b""
    except CallFailed as failed:
        return BuiltInCalled(command, None, failure_of(failed.call_status, failed.message), wants_ack)
    except CommandRefused as refusal:
        return RefusedItem(error_of(refusal, command, command_index))
    return BuiltInCalled(command, mail, Success(answer), wants_ack)


def _start(resolver: CallResolver, schema: Schema, live: Live, command: Call | OneWayCall, asked: Any, command_index: int) -> InvokeMail:
    """Return the start of the invocation that is asked for; `asked` is of a class built at run time."""
    service = schema.services.get(asked.service)
    handler = None if service is None else service.handlers.get(asked.method)
    if service is None or handler is None:
        raise CallFailed(Status.NOT_FOUND, f"'{asked.service}/{asked.method}' not found. Check that its deployment is registered.")
    method = handler.method
    if method is None:
        raise CallFailed(Status.FAILED_PRECONDITION, f"'{asked.service}' is no protobuf service, which a handler of one cannot start")
    deployment = schema.deployments[service.deployment_id]
    body = argument_of(asked, lambda: _descriptors_of(deployment.descriptor_set).message_class(method.input_type))
    started = OneWayCall(CallTarget(service.name, handler.name, ""), body, (), 0, 0)
    resolved = resolver.resolve(schema, live, started, wants_ack=False, command_index=command_index, is_seed=True)
    if not isinstance(resolved, CallResolved):
        raise CallFailed(Status.INVALID_ARGUMENT, resolved.error.message)
    assert isinstance(resolved.command, OneWayCall)
    return InvokeMail(
        invocation_id=InvocationId(resolved.command.callee_id),
        target=resolved.target,
        body=body,
        headers=(),
        source=resolved.source,
        sink=None,
        execution_at_ms=_time_of(command),
        completion_retention_ms=resolved.command.completion_retention_ms,
        journal_retention_ms=resolved.command.journal_retention_ms,
        traceparent=resolved.traceparent,
        tracestate=resolved.tracestate,
        starts_trace=resolved.starts_trace,
    )


def _completion(command: Call | OneWayCall, asked: Any) -> SignalMail:
    if _time_of(command) is not None:
        raise CommandRefused("an awakeable cannot be completed with a delay: sleep, or send that to a handler which completes it", "RT0017")
    try:
        invocation_id, signal = parse_awakeable_id(asked.id)
    except InvalidId as reason:
        raise CallFailed(Status.INVALID_ARGUMENT, f"invalid awakeable id {asked.id}: {reason}") from None
    return SignalMail(invocation_id, signal, None, awakeable_result(asked))


def _time_of(command: Call | OneWayCall) -> int | None:
    return command.invoke_at_ms or None if isinstance(command, OneWayCall) else None
