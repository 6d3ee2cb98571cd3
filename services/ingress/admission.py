"""From a call's parts to the `Invoke` that its owner receives: headers, input rules, delay, limit key, identity, retention.

Pure: time and randomness are arguments. The order in which things are refused is part of the contract.
Source: shared/spec/ingress.md, sections 5 to 10 and 22; shared/spec/lifecycle.md, sections 1 and 4.
"""

import re
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from perdure.base.clock import Random
from perdure.base.ids import (
    InvocationId,
    fresh_invocation_id,
    idempotent_invocation_id,
    workflow_invocation_id,
)
from perdure.base.trace import known_part_of, parse_traceparent, tracestate_of
from perdure.bus.messages import Invoke
from perdure.model.journal import Headers
from perdure.model.target import HandlerType, Target, is_too_long
from services.ingress import refusals
from services.ingress.delays import BadDelay, parse_delay_ms
from services.ingress.directory import AnyInput, EmptyInput, HandlerEntry, InputRule, NoInput, TypedInput
from services.ingress.routes import Call

RawHeaders = list[tuple[bytes, bytes]]
"""Lower-case names, in the order of the request."""

NAME_PART_BYTES_MAX: Final = 36
"""Of a scope and of each component of a limit key."""

_NAME_PART: Final = re.compile(r"[a-zA-Z0-9_.-]*")
_INGRESS_PATH: Final = "x-restate-ingress-path"
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_PAIRS: Final = [a + b for a in _CROCKFORD for b in _CROCKFORD]
_ULID_SHIFTS: Final = tuple(range(120, -1, -10))


class RequestHeaders(msgspec.Struct, gc=False):
    """The headers of a call, the first value of each name; `rest` is what the handler will see."""

    idempotency_key: str | None
    content_type: bytes | None
    rest: dict[bytes, bytes]


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Which invocation a call is."""

    invocation_id: InvocationId
    idempotency_key: str | None
    is_fresh: bool
    """Nobody else can know the id: it comes from randomness of this request."""


def check_callable(entry: HandlerEntry) -> None:
    """Refuse handlers that the ingress may not call."""
    if not entry.is_public:
        raise refusals.not_public()


def read_headers(raw: RawHeaders, entry: HandlerEntry) -> RequestHeaders:
    """Take the headers apart.

    Raises:
        Refused: The idempotency key is unreadable, or the handler takes none.
    """
    rest = dict(raw[::-1])  # the first of a repeated name wins; at C speed
    rest.pop(b"host", None)
    rest.pop(b"connection", None)
    rest.pop(b"idempotency-expires", None)
    raw_key = rest.pop(b"idempotency-key", None)
    idempotency_key = None
    if raw_key is not None:
        idempotency_key = _visible(b"idempotency-key", raw_key)
        if entry.handler_type is HandlerType.WORKFLOW:
            raise refusals.idempotency_key_on_workflow()
    return RequestHeaders(idempotency_key, rest.get(b"content-type"), rest)


def check_scope(call: Call) -> None:
    """Refuse scoped calls: bad scopes for their syntax, good ones because scopes are not offered."""
    if call.scope is not None:
        check_scope_syntax(call.scope)
        raise refusals.scopes_disabled()


def check_scope_syntax(scope: str) -> None:
    """Refuse a malformed scope."""
    if reason := _name_part_error(scope):
        raise refusals.bad_scope(reason)


def check_input(rules: tuple[InputRule, ...], content_type: bytes | None, *, has_body: bool) -> None:
    """Pass if one rule passes, else refuse with the last rule's reason."""
    reason = ""
    text = None if content_type is None else _visible(b"content-type", content_type)
    for rule in rules:
        reason = _input_error(rule, text, has_body=has_body)
        if reason is None:
            return
    raise refusals.bad_input(reason)


def _input_error(rule: InputRule, content_type: str | None, *, has_body: bool) -> str | None:
    match rule:
        case AnyInput():
            return None
        case EmptyInput():
            if not has_body and content_type is None:
                return None
            debug = "None" if content_type is None else 'Some("' + content_type.replace("\\", "\\\\").replace('"', '\\"') + '")'
            return f"Expected body and content-type to be empty, but wasn't with content-type '{debug}'"
        case TypedInput():
            if content_type is None:
                return "Empty content-type"
            if content_type != rule.content_type and not content_type_matches(content_type, rule.content_type):
                return f"Content-type '{content_type}' does not match '{rule.content_type}'"
            return "Empty body not allowed" if rule.is_json and not has_body else None
        case NoInput():
            return "Bad configuration of the input validation rules. No rules are specified"


def content_type_matches(sent: str, wanted: str) -> bool:
    """Return whether a content type fits a rule: parameters do not count, case does, `*` matches all."""
    if wanted == "*/*":
        return True
    sent = sent.partition(";")[0].strip()
    wanted = wanted.partition(";")[0].strip()
    if wanted.endswith("/*"):
        return sent.partition("/")[0].strip() == wanted[:-2].strip()
    return sent == wanted


def read_query(query: bytes) -> dict[str, str]:
    """Return the parameters, names in lower case, the first of each."""
    if not query:
        return {}
    pairs = parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True)
    return {name.lower(): value for name, value in reversed(pairs)}


def delay_of(parameters: dict[str, str]) -> int | None:
    """Return the delay in milliseconds, or None where none was asked for.

    Raises:
        Refused: It is not a duration.
    """
    text = parameters.get("delay")
    if text is None:
        return None
    try:
        return parse_delay_ms(text)
    except BadDelay as error:
        raise refusals.bad_delay(str(error)) from None


def check_limit_key(headers: RequestHeaders, parameters: dict[str, str]) -> None:
    """Refuse limit keys, which need a scope; an empty one is none."""
    raw = headers.rest.get(b"x-restate-limit-key")
    text = parameters.get("limit-key", "") if raw is None else _visible(b"x-restate-limit-key", raw)
    if not text:
        return
    components = text.removesuffix("/").split("/")
    if len(components) > 2:
        raise refusals.bad_limit_key("too many path components in the given limit-key (max 2)")
    for component in components:
        if reason := _name_part_error(component):
            raise refusals.bad_limit_key(f"invalid limit-key component: {reason}")
    raise refusals.limit_key_without_scope()


def _name_part_error(text: str) -> str | None:
    size = len(text.encode())
    if size == 0:
        return "value cannot be empty"
    if size > NAME_PART_BYTES_MAX:
        return f"value too long: {size} bytes (max {NAME_PART_BYTES_MAX})"
    if _NAME_PART.fullmatch(text) is None:
        return "value contains characters outside the allowed set [a-zA-Z0-9_.-]"
    return None


def forwarded_headers(headers: RequestHeaders, path: bytes, query: bytes) -> Headers:
    """Return what the handler sees: the path of the request in front, then the client's headers.

    Raises:
        Refused: A value is not visible ASCII.
    """
    target = path + b"?" + query if query else path
    try:
        return (
            (_INGRESS_PATH, target.decode("latin-1")),
            *[(name.decode("latin-1"), value.decode("ascii")) for name, value in reversed(headers.rest.items())],
        )
    except UnicodeDecodeError:
        for name, value in reversed(headers.rest.items()):
            _visible(name, value)
        raise


def trace_of(headers: RequestHeaders) -> tuple[str | None, str]:
    """Return the client's trace context, `traceparent` and `tracestate`, if it is one."""
    raw = headers.rest.get(b"traceparent")
    if raw is None:
        return None, ""
    text = raw.decode("latin-1")
    if parse_traceparent(text) is None:
        return None, ""
    return known_part_of(text), tracestate_of(headers.rest.get(b"tracestate", b"").decode("latin-1"))


def identity_of(call: Call, idempotency_key: str | None, *, now_ms: int, random: Random) -> Identity:
    """Return which invocation a call is.

    A run is the one of its workflow; a key that the client gave decides; all others get a fresh id, which makes every call
    safe to repeat between ingress and owner. Services and objects are shown a random key with it, and kept as long as with one.
    """
    entry = call.entry
    if entry.handler_type is HandlerType.WORKFLOW:
        assert call.key is not None
        return Identity(workflow_invocation_id(entry.service, call.key), None, False)
    if idempotency_key is not None:
        return Identity(idempotent_invocation_id(entry.service, call.key, entry.handler, idempotency_key), idempotency_key, False)
    fresh_id = fresh_invocation_id(entry.service, call.key, now_ms, random.bytes(10))
    return Identity(fresh_id, None if entry.is_workflow else ulid_text(fresh_id[8:]), True)


def ulid_text(raw: bytes) -> str:
    """Return the 26 characters of a ULID. 1.1 us, pairs of digits at once."""
    number = int.from_bytes(raw, "big")
    return "".join([_ULID_PAIRS[number >> shift & 1023] for shift in _ULID_SHIFTS])


def _visible(name: bytes, value: bytes) -> str:
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        raise refusals.bad_header(name.decode("latin-1")) from None


def admit(
    call: Call,
    headers: RequestHeaders,
    body: bytes,
    path: bytes,
    query: bytes,
    *,
    now_ms: int,
    random: Random,
    request_id: int,
    body_blob_id: bytes | None = None,
) -> Invoke:
    """Return what to ask the owner, once the body is there: in memory, or in the store where `body_blob_id` says so.

    Raises:
        Refused: With the first thing that is wrong, in the order that clients know.
    """
    entry = call.entry
    if call.key is not None and is_too_long(call.key):
        raise refusals.key_too_long()
    check_input(entry.input_rules, headers.content_type, has_body=bool(body) or body_blob_id is not None)
    delay_ms = None
    if query or b"x-restate-limit-key" in headers.rest:
        parameters = read_query(query)
        delay_ms = delay_of(parameters)
        check_limit_key(headers, parameters)
    forwarded = forwarded_headers(headers, path, query)
    if delay_ms is not None and not call.is_send:
        raise refusals.delay_with_call()
    identity = identity_of(call, headers.idempotency_key, now_ms=now_ms, random=random)
    retention = entry.plain_retention if identity.idempotency_key is None else entry.idempotent_retention
    return Invoke(
        request_id,
        identity.invocation_id,
        Target(entry.service, entry.handler, call.key, entry.handler_type, entry.is_workflow),
        body,
        forwarded,
        not call.is_send,
        identity.idempotency_key,
        identity.is_fresh,
        None if delay_ms is None else now_ms + delay_ms,
        retention.completion_ms,
        retention.journal_ms,
        body_blob_id,
        *trace_of(headers),
    )
