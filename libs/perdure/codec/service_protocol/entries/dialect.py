"""What differs between protocols whose journal is a list of entries: how each message looks, and how far a cancellation goes."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from perdure.base.ids import InvocationId
from perdure.codec.service_protocol.entries.ledger import Ledger
from perdure.model.journal import AttemptError, Command
from perdure.model.result import Outcome, Result

Decode = Callable[[bytes, int, Ledger], Command]
"""From the payload of an entry and its index to a command."""


class Start(msgspec.Struct, frozen=True):
    """What the first message of an attempt may tell. See `AttemptEncoder.start`."""

    invocation_id: InvocationId
    debug_id: str
    state: list[tuple[bytes, bytes]]
    is_state_partial: bool
    key: str
    retry_count: int
    since_last_entry_ms: int


class Dialect(Protocol):
    """One protocol. Frames are whole; payloads are what follows the header of a frame."""

    content_type: str
    keeps_cancellation: bool
    """Whether a cancellation that finds nothing to cancel meets the next entry that waits."""
    cancels_calls: bool
    """Whether a cancellation completes calls itself; else they wait for what the callee, which is cancelled too, makes of it."""
    decoders: Mapping[int, Decode]
    """Entries that are one command, by type code."""

    def encode_start(self, start: Start, known_entries: int) -> bytes:
        """Return the first frame."""
        ...

    def encode_command(self, command: Command) -> tuple[int, bytes, bool]:
        """Return type code, payload, and whether the payload holds a result that completes the entry."""
        ...

    def encode_awakeable(self, name: str) -> tuple[int, bytes]:
        """Return type code and payload of an awakeable."""
        ...

    def encode_run(self, name: str, result: Result | None) -> tuple[int, bytes]:
        """Return type code and payload of a run."""
        ...

    def encode_result(self, result: Result) -> bytes:
        """Return the fields of a result, to follow those of an entry."""
        ...

    def encode_completion(self, index: int, result: Result) -> bytes:
        """Return the frame that completes an entry."""
        ...

    def encode_ack(self, index: int) -> bytes:
        """Return the frame that acknowledges an entry."""
        ...

    def name_of(self, code: int) -> str:
        """Return what a type code is called."""
        ...

    def is_kept(self, code: int) -> bool:
        """Whether an entry is none of `decoders` and is journaled as it came."""
        ...

    def call_asked_for(self, code: int, payload: bytes) -> int | None:
        """Return the index of the call whose callee a kept entry asks for, if it does.

        Raises:
            DecodeError: Its payload cannot be read.
        """
        ...

    def decode_run(self, code: int, payload: bytes) -> tuple[str, Outcome | None] | None:
        """Return name and result of a run; None where the entry is none."""
        ...

    def decode_suspension(self, payload: bytes) -> list[int]:
        """Return the indexes of the entries that are awaited."""
        ...

    def decode_error(self, payload: bytes, ledger: Ledger) -> AttemptError:
        """Return why an attempt fails."""
        ...
