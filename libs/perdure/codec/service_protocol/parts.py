"""Parts that many messages share, between wire and model: results, failures, targets, futures.

Source: shared/spec/service-protocol.md, sections 4.1 and 6.2.
"""

from typing import Final

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from perdure.base.errors import RemoteProtocolError
from perdure.codec.service_protocol import messages_pb2 as wire
from perdure.model.journal import AttachTarget, Combinator, Future, Headers, IdempotentTarget, InvocationTarget, WorkflowTarget
from perdure.model.result import Failure, Outcome, Success, Void

FUTURE_DEPTH_MAX: Final = 256
"""Nesting of a future. Deeper trees would meet the recursion limit of the interpreter where they are stored."""

_CODE_MAX: Final = 0xFFFF
_CODE_INTERNAL: Final = 500


class FutureTooDeep(RemoteProtocolError):
    """A handler awaits a tree of futures that is nested too deeply; the invocation is paused."""

    code = "RT0025"
    hint = "Combine fewer futures into one another, for example by awaiting parts of them first."


class ScopeUnsupported(RemoteProtocolError):
    """A command names a scope or a limit key, which belong to flow control; this server has none."""

    code = "RT0024"
    hint = "Leave scope and limit key out of the call."


def decode_code(code: int) -> int:
    """Return a failure code; what does not fit 16 bits is an internal error."""
    return code if code <= _CODE_MAX else _CODE_INTERNAL


def decode_failure(message: wire.Failure) -> Failure:
    """Return a failure with all of its metadata, whatever the version."""
    return Failure(decode_code(message.code), message.message, tuple((entry.key, entry.value) for entry in message.metadata))


def encode_failure(failure: Failure, message: wire.Failure, *, has_metadata: bool) -> None:
    """Fill a failure; metadata exists from V6 on."""
    message.code = failure.code
    message.message = failure.message
    if has_metadata:
        for key, value in failure.metadata:
            message.metadata.add(key=key, value=value)


WithOutcome = wire.Output | wire.CompleteAwakeable
WithResult = wire.SendSignal | wire.Notification


def decode_outcome(message: WithOutcome) -> Outcome:
    """Return a result that is a value or a failure.

    Raises:
        RemoteProtocolError: It is neither.
    """
    match message.WhichOneof("result"):
        case "value":
            return Success(message.value.content)
        case "failure":
            return decode_failure(message.failure)
        case _:
            raise missing(message, "result")


def encode_outcome(outcome: Outcome, message: WithOutcome, *, has_metadata: bool) -> None:
    """Fill a result that is a value or a failure."""
    if type(outcome) is Success:
        message.value.content = outcome.value
    else:
        assert type(outcome) is Failure
        encode_failure(outcome, message.failure, has_metadata=has_metadata)


def encode_result(result: Success | Failure | Void, message: WithResult, *, has_metadata: bool) -> None:
    """Fill a result that may be void."""
    if type(result) is Success:
        message.value.content = result.value
    elif type(result) is Void:
        message.void.SetInParent()
    else:
        assert type(result) is Failure
        encode_failure(result, message.failure, has_metadata=has_metadata)


def missing(message: object, field: str) -> RemoteProtocolError:
    """Return the error for a message without a field that it must have."""
    return RemoteProtocolError(f"message {type(message).__name__} without {field}")


def decode_headers(headers: RepeatedCompositeFieldContainer[wire.Header]) -> Headers:
    """Return headers in order, repeated names included."""
    return tuple((header.key, header.value) for header in headers) if headers else ()


def encode_headers(headers: Headers, field: RepeatedCompositeFieldContainer[wire.Header]) -> None:
    """Append headers in order."""
    for key, value in headers:
        header = field.add()
        header.key = key
        header.value = value


WithScope = wire.Call | wire.OneWayCall | wire.WorkflowTarget | wire.IdempotentRequestTarget


def refuse_scope(message: WithScope) -> None:
    """Raise `ScopeUnsupported` where a scope or a limit key is given; an empty one counts as none."""
    if message.scope or (isinstance(message, wire.Call | wire.OneWayCall) and message.limit_key):
        raise ScopeUnsupported(f"{type(message).__name__} with scope {message.scope!r}: scopes and limit keys are not supported")


WithTarget = wire.AttachInvocation | wire.GetInvocationOutput


def decode_target(message: WithTarget) -> AttachTarget:
    """Return whom an attach or an output command addresses.

    Raises:
        RemoteProtocolError: Nobody.
    """
    match message.WhichOneof("target"):
        case "invocation_id":
            return InvocationTarget(message.invocation_id)
        case "idempotent_request_target":
            request = message.idempotent_request_target
            refuse_scope(request)
            key = request.service_key if request.HasField("service_key") else None
            return IdempotentTarget(request.service_name, key, request.handler_name, request.idempotency_key)
        case "workflow_target":
            workflow = message.workflow_target
            refuse_scope(workflow)
            return WorkflowTarget(workflow.workflow_name, workflow.workflow_key)
        case _:
            raise missing(message, "target")


def encode_target(target: AttachTarget, message: WithTarget) -> None:
    """Fill in whom an attach or an output command addresses."""
    match target:
        case InvocationTarget(invocation_id):
            message.invocation_id = invocation_id
        case IdempotentTarget(service, key, handler, idempotency_key):
            request = message.idempotent_request_target
            request.service_name = service
            if key is not None:
                request.service_key = key
            request.handler_name = handler
            request.idempotency_key = idempotency_key
        case WorkflowTarget(workflow, key):
            message.workflow_target.workflow_name = workflow
            message.workflow_target.workflow_key = key


_COMBINATORS: Final = {int(combinator): combinator for combinator in Combinator}


def decode_future(message: wire.Future, depth: int = 1) -> Future:
    """Return a tree of futures; an unknown combinator is `UNKNOWN`.

    Raises:
        FutureTooDeep: It is nested deeper than `FUTURE_DEPTH_MAX`.
    """
    if depth > FUTURE_DEPTH_MAX:
        raise FutureTooDeep(f"future nested deeper than {FUTURE_DEPTH_MAX}")
    return Future(
        tuple(message.waiting_completions),
        tuple(message.waiting_signals),
        tuple(message.waiting_named_signals),
        tuple(decode_future(wire.Future.FromString(nested), depth + 1) for nested in message.nested_futures),
        _COMBINATORS.get(message.combinator_type, Combinator.UNKNOWN),
    )


def has_leaf(future: Future) -> bool:
    """Return whether anything can ever complete the tree."""
    return bool(future.completion_ids or future.signal_indexes or future.signal_names) or any(map(has_leaf, future.nested))
