"""A change of an object's or workflow's state from outside. Source: shared/spec/lifecycle.md, section 7."""

import msgspec


class StateMutation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Replace all state of a key by `entries` (name, value; in order of names)."""

    entries: tuple[tuple[bytes, bytes], ...]
    version: str | None = None
    """What the state must be at that time; with another state the mutation is dropped."""
