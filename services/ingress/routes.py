"""From a raw path to what it asks for. Pure; whatever is wrong with a path raises `Refused`.

Names are compared as raw bytes; keys and scopes are percent-decoded once. Source: shared/spec/ingress.md, sections 2 and 3.
"""

from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from perdure.base.ids import InvalidId, InvocationId, idempotent_invocation_id, parse_invocation_id, workflow_invocation_id
from services.ingress import refusals
from services.ingress.directory import Directory, HandlerEntry

_SLASHES_MIN: Final = 2
_SLASHES_MAX: Final = 7
_BUILT_IN: Final = (b"dev.restate.", b"grpc.")


class Call(msgspec.Struct, frozen=True, gc=False):
    """Invoke a handler; a send does not wait for the result."""

    entry: HandlerEntry
    key: str | None
    is_send: bool
    scope: str | None = None


class Wait(msgspec.Struct, frozen=True):
    """Attach to an invocation, or read its output."""

    invocation_id: InvocationId
    is_attach: bool
    entry: HandlerEntry | None = None
    """Whose output rules count; None where the owner must say it."""
    names_handler: bool = False
    """Whether the request named a handler: `entry` None then means that it is gone."""


class WaitByBody(msgspec.Struct, frozen=True):
    """Attach or output of a target that the body names."""

    is_attach: bool


class Lookup(msgspec.Struct, frozen=True):
    """Compute the invocation id of a target that the body names."""


class CompleteAwakeable(msgspec.Struct, frozen=True):
    """Resolve or reject an awakeable; the id is not yet parsed."""

    awakeable_id: str
    is_resolve: bool


class Health(msgspec.Struct, frozen=True):
    """List the services."""


class ProtobufCall(msgspec.Struct, frozen=True):
    """Call a method of a protobuf service, one of the seed era or built in."""


Route = Call | Wait | WaitByBody | Lookup | CompleteAwakeable | Health | ProtobufCall


def normalise(raw_path: bytes) -> bytes:
    """Collapse the slashes at both ends of a path; inner ones stay. Of a whole URL the path counts.

    Raises:
        Refused: It is neither.
    """
    if raw_path[:1] != b"/":
        scheme, separator, rest = raw_path.partition(b"://")
        if not separator or not scheme.isalpha():
            raise refusals.bad_path(raw_path)
        raw_path = b"/" + rest.partition(b"/")[2]
    if raw_path[-1:] != b"/" and raw_path[:2] != b"//":
        return raw_path
    return b"/" + raw_path.strip(b"/")


def route_of(path: bytes, directory: Directory) -> Route:
    """Return what a normalised path asks for.

    Raises:
        Refused: Nothing has this path, or a part of it is malformed.
    """
    segments = path.split(b"/")
    if not _SLASHES_MIN < len(segments) <= _SLASHES_MAX + 1:
        raise refusals.bad_path(path)
    first = segments[1]
    if first == b"restate":
        return _restate_route(segments, directory)
    if first == b"openapi":
        raise refusals.not_found()
    return _short_call(segments, directory)


def _short_call(segments: list[bytes], directory: Directory) -> Call | ProtobufCall:
    service = directory.services.get(segments[1])
    if service is None:
        if segments[1] in directory.protobuf or segments[1].startswith(_BUILT_IN):
            return ProtobufCall()
        raise refusals.service_not_found(_text(segments[1]))
    handler_at = 3 if service.is_keyed else 2
    count = len(segments)
    is_send = count == handler_at + 2
    if count <= handler_at or count > handler_at + 2 or (is_send and segments[-1] != b"send"):
        raise refusals.bad_short_path()
    key = decode_key(segments[2]) if service.is_keyed else None
    entry = service.handlers.get(segments[handler_at])
    if entry is None:
        raise refusals.handler_not_found(service.name, _text(segments[handler_at]))
    return Call(entry, key, is_send)


def _restate_route(segments: list[bytes], directory: Directory) -> Route:
    verb = segments[2]
    match verb:
        case b"call" | b"send":
            return _long_call(segments[3:], directory, is_send=verb == b"send")
        case b"scope":
            return _scoped_call(segments[3:], directory)
        case b"attach" | b"output":
            return _wait(segments[3:], is_attach=verb == b"attach")
        case b"lookup":
            if len(segments) > 3:
                raise refusals.bad_long_path()
            return Lookup()
        case b"invocation":
            return _legacy_invocation(segments[3:], directory)
        case b"workflow":
            return _legacy_workflow(segments[3:], directory)
        case b"awakeables" | b"a":
            return _awakeable(segments[3:])
        case b"health":
            return Health()
        case _:
            raise refusals.not_found()


def _long_call(parts: list[bytes], directory: Directory, *, is_send: bool, scope: str | None = None) -> Call:
    if not parts:
        raise refusals.bad_long_path()
    service = directory.services.get(parts[0])
    if service is None:
        raise refusals.service_not_found(_text(parts[0]))
    if len(parts) != (3 if service.is_keyed else 2):
        raise refusals.bad_long_path()
    key = decode_key(parts[1]) if service.is_keyed else None
    entry = service.handlers.get(parts[-1])
    if entry is None:
        raise refusals.handler_not_found(service.name, _text(parts[-1]))
    return Call(entry, key, is_send, scope)


def _scoped_call(parts: list[bytes], directory: Directory) -> Call:
    if len(parts) < 2 or parts[1] not in {b"call", b"send"}:
        raise refusals.bad_long_path()
    scope = decode_key(parts[0])
    return _long_call(parts[2:], directory, is_send=parts[1] == b"send", scope=scope)


def _wait(parts: list[bytes], *, is_attach: bool) -> Wait | WaitByBody:
    if not parts:
        return WaitByBody(is_attach)
    if len(parts) > 1:
        raise refusals.bad_long_path()
    return Wait(invocation_id_of(_text(parts[0])), is_attach)


def _legacy_invocation(parts: list[bytes], directory: Directory) -> Wait:
    if len(parts) < 2:
        raise refusals.bad_invocation_path()
    if len(parts) == 2:
        is_attach = _is_attach(parts[1])
        return Wait(invocation_id_of(_text(parts[0])), is_attach)
    service = directory.services.get(parts[0])
    if service is None:
        raise refusals.service_not_found(_text(parts[0]))
    needed = 5 if service.is_keyed else 4
    if len(parts) < needed:
        raise refusals.bad_invocation_path()
    key = decode_key(parts[1]) if service.is_keyed else None
    handler, idempotency_key, verb = parts[needed - 3 : needed]
    invocation_id = idempotent_invocation_id(service.name, key, _text(handler), _text(idempotency_key))
    return Wait(invocation_id, _is_attach(verb), service.handlers.get(handler), names_handler=True)


def _legacy_workflow(parts: list[bytes], directory: Directory) -> Wait:
    if len(parts) < 3:
        raise refusals.bad_workflow_path()
    key = decode_key(parts[1])
    is_attach = _is_attach(parts[2])
    service = directory.services.get(parts[0])
    entry = None if service is None else service.run
    return Wait(workflow_invocation_id(_text(parts[0]), key), is_attach, entry, names_handler=True)


def _awakeable(parts: list[bytes]) -> CompleteAwakeable:
    if len(parts) < 2:
        raise refusals.bad_awakeable_path()
    if parts[1] not in {b"resolve", b"reject"}:
        raise refusals.not_found()
    return CompleteAwakeable(_text(parts[0]), parts[1] == b"resolve")


def _is_attach(verb: bytes) -> bool:
    if verb == b"attach":
        return True
    if verb == b"output":
        return False
    raise refusals.not_found()


def invocation_id_of(text: str) -> InvocationId:
    """Return the raw id of a text.

    Raises:
        Refused: It is malformed.
    """
    try:
        return parse_invocation_id(text)
    except InvalidId as error:
        raise refusals.bad_invocation_id(text, str(error)) from None


def decode_key(segment: bytes) -> str:
    """Percent-decode a key or scope; a stray `%` stays.

    Raises:
        Refused: The bytes are not UTF-8.
    """
    raw = unquote_to_bytes(segment) if b"%" in segment else segment
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise refusals.bad_key(raw, error) from None


def _text(segment: bytes) -> str:
    return segment.decode("utf-8", "replace")
