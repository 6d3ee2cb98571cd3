"""Identifiers: their raw and text forms, and how they are derived.

Source: shared/spec/lifecycle.md, section 1. Times and random bytes are handed in, so everything here is pure.
"""

import base64
import hashlib
import struct
from functools import lru_cache
from typing import Final, NewType

import xxhash

from perdure.base import base62

InvocationId = NewType("InvocationId", bytes)
"""24 bytes: u64 partition key and 16-byte uuid, both big-endian."""

SERVICE_BUCKETS: Final = 512
WINDOW_BITS: Final = 3
"""Invocations without key of the same 8 ms share a bucket."""
CANCEL_SIGNAL: Final = 1
AWAKEABLE_OFFSET: Final = 16
"""The signal of an old awakeable (`prom_1…`) is the index of its entry and so much."""
_SIGNAL_SUFFIX = struct.Struct(">I")


class InvalidId(ValueError):
    """A text is not an id of the expected type; the argument is the reason that clients know."""


def _xxh3(*parts: bytes) -> int:
    return xxhash.xxh3_64_intdigest(b"".join(parts))


def partition_key_of_key(key: str) -> int:
    """Return the partition key of a keyed target (object, workflow)."""
    return _xxh3(key.encode(), b"\xff")


def partition_key_of_bucket(service: str, bucket: int) -> int:
    """Return the partition key of an unkeyed invocation of `service` in one of its `SERVICE_BUCKETS`."""
    return _xxh3(service.encode(), b"\xffunscoped/service\xff", bucket.to_bytes(8, "little"))


def bucket_of_idempotency_key(idempotency_key: str) -> int:
    """Return the bucket that an idempotency key of an unkeyed service falls into."""
    return _xxh3(idempotency_key.encode(), b"\xff") % SERVICE_BUCKETS


@lru_cache(maxsize=1_024)
def _partition_key_of_window(service: str, window: int) -> int:
    bucket = _xxh3(service.encode(), b"\xff", window.to_bytes(8, "little")) % SERVICE_BUCKETS
    return partition_key_of_bucket(service, bucket)


def fresh_invocation_id(service: str, key: str | None, now_ms: int, entropy: bytes) -> InvocationId:
    """Return the id of an invocation that nothing identifies but itself.

    Unkeyed ones of the same few milliseconds share a bucket, and uuids grow with time: so what one commit writes lies close
    together in the store, and touches few partitions.
    """
    partition_key = _partition_key_of_window(service, now_ms >> WINDOW_BITS) if key is None else partition_key_of_key(key)
    return invocation_id(partition_key, ulid(now_ms, entropy))


def invocation_id(partition_key: int, uuid: bytes) -> InvocationId:
    """Join a partition key and a 16-byte uuid."""
    assert len(uuid) == 16
    return InvocationId(partition_key.to_bytes(8, "big") + uuid)


def ulid(now_ms: int, entropy: bytes) -> bytes:
    """Return a 16-byte ULID from a Unix time and 10 random bytes."""
    assert len(entropy) == 10
    return now_ms.to_bytes(6, "big") + entropy


def workflow_uuid(service: str, key: str, scope: str | None = None) -> bytes:
    """Return the uuid of a workflow's run."""
    return _uuid_of("wf", scope, service, key)


def idempotent_uuid(service: str, key: str | None, handler: str, idempotency_key: str, scope: str | None = None) -> bytes:
    """Return the uuid of an invocation with an idempotency key."""
    return _uuid_of("ik", scope, service, key, handler, idempotency_key)


def _uuid_of(*parts: str | None) -> bytes:
    return hashlib.sha256(",".join([part for part in parts if part is not None]).encode()).digest()[:16]


def scoped_workflow_invocation_id(scope: str, service: str, key: str) -> InvocationId:
    """Return the id of the run of a workflow in a scope, whose hash places it."""
    return invocation_id(partition_key_of_key(scope), workflow_uuid(service, key, scope))


def scoped_idempotent_invocation_id(scope: str, service: str, key: str | None, handler: str, idempotency_key: str) -> InvocationId:
    """Return the id of an invocation that carries an idempotency key in a scope, whose hash places it."""
    return invocation_id(partition_key_of_key(scope), idempotent_uuid(service, key, handler, idempotency_key, scope))


def workflow_invocation_id(service: str, key: str) -> InvocationId:
    """Return the id of the run of a workflow."""
    return invocation_id(partition_key_of_key(key), workflow_uuid(service, key))


def idempotent_invocation_id(service: str, key: str | None, handler: str, idempotency_key: str) -> InvocationId:
    """Return the id of an invocation that carries an idempotency key."""
    if key is None:
        partition_key = partition_key_of_bucket(service, bucket_of_idempotency_key(idempotency_key))
    else:
        partition_key = partition_key_of_key(key)
    return invocation_id(partition_key, idempotent_uuid(service, key, handler, idempotency_key))


def partition_of(invocation: InvocationId, partitions: int) -> int:
    """Return the partition, 0 to `partitions` - 1, that owns an invocation: equal contiguous ranges of the key space."""
    return (int.from_bytes(invocation[:8], "big") * partitions) >> 64


def partition_of_key(key: str, partitions: int) -> int:
    """Return the partition that owns a keyed object or workflow."""
    return (partition_key_of_key(key) * partitions) >> 64


def format_invocation_id(invocation: InvocationId) -> str:
    """Return `inv_1…`, 38 characters."""
    return f"inv_1{base62.encode(invocation[:8])}{base62.encode(invocation[8:])}"


def parse_invocation_id(text: str) -> InvocationId:
    """Return the raw id of `inv_1…`.

    Raises:
        InvalidId: With the reason (`bad length`, `bad format`, ...).
    """
    body = _body(text, "inv")
    if len(body) < 33:
        raise InvalidId("bad length")
    try:
        raw = InvocationId(base62.decode(body[:11], 8) + base62.decode(body[11:33], 16))
    except ValueError as error:
        raise InvalidId(str(error)) from None
    if len(body) > 33:
        raise InvalidId("bad length")
    return raw


def format_resource_id(prefix: str, raw: bytes) -> str:
    """Return the text of a 16-byte resource id, such as `dp_1…` or `sub_1…`."""
    return f"{prefix}_1{base62.encode(raw)}"


def parse_resource_id(prefix: str, text: str) -> bytes:
    """Return the 16 raw bytes of a resource id.

    Raises:
        InvalidId: With the reason.
    """
    body = _body(text, prefix)
    if len(body) != 22:
        raise InvalidId("bad length")
    try:
        return base62.decode(body, 16)
    except ValueError as error:
        raise InvalidId(str(error)) from None


def format_awakeable_id(invocation: InvocationId, signal: int) -> str:
    """Return `sign_1…` for a signal of an invocation."""
    return f"sign_1{base64.urlsafe_b64encode(invocation + _SIGNAL_SUFFIX.pack(signal)).decode().rstrip('=')}"


def parse_awakeable_id(text: str) -> tuple[InvocationId, int]:
    """Return the invocation and the signal index of `sign_1…`, or of `prom_1…`: so protocol versions 1 to 3 wrote it.

    Raises:
        InvalidId: With the reason.
    """
    is_old = text.startswith("prom_")
    body = _body(text, "prom" if is_old else "sign")
    raw = _base64url(body)
    if len(raw) != 28:
        raise InvalidId("bad length")
    number: int = _SIGNAL_SUFFIX.unpack(raw[24:])[0]
    return InvocationId(raw[:24]), number + AWAKEABLE_OFFSET if is_old else number


def _base64url(text: str) -> bytes:
    """Return the bytes of unpadded or padded text of the URL-safe alphabet; there is one text for them, so bits left over are an error."""
    digits = text.rstrip("=")
    try:
        raw = base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    except ValueError:
        raise InvalidId("base62 decode error") from None
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != digits:
        raise InvalidId("base62 decode error")
    return raw


_PREFIXES: Final = frozenset({"inv", "dp", "sub", "snap", "prom", "sign", "mut", "vq"})


def _body(text: str, prefix: str) -> str:
    head, separator, rest = text.partition("_")
    if not separator:
        raise InvalidId("bad format")
    if head not in _PREFIXES:
        raise InvalidId(f"unrecognized resource type: {head}")
    if not rest:
        raise InvalidId("bad length")
    if not rest.startswith("1"):
        raise InvalidId("unrecognized codec version")
    if head != prefix:
        raise InvalidId("id doesn't match the expected type")
    return rest[1:]
