"""How something ended: a value, a failure, or nothing yet."""

import msgspec


class Success(msgspec.Struct, frozen=True, array_like=True, tag=0, gc=False):
    """A value, as the bytes that the handler produced."""

    value: bytes


class Failure(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """A terminal failure: HTTP-like code (0 to 65535), message, metadata (protocol V6 and later)."""

    code: int
    message: str
    metadata: tuple[tuple[str, str], ...] = ()


class Void(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """Done without a value, absent, or not ready: what it means depends on what it completes."""


class InvocationIdResult(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """The id of a called invocation, as text."""

    invocation_id: str


class StateKeys(msgspec.Struct, frozen=True, array_like=True, tag=4, gc=False):
    """Names of state entries, in byte order."""

    keys: tuple[bytes, ...]


Outcome = Success | Failure
"""The end of an invocation."""

Result = Success | Failure | Void | InvocationIdResult | StateKeys
"""What a notification carries."""
