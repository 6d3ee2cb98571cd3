"""The versions 1 to 3 as a dialect. Source: shared/spec/service-protocol.md, section 8, and the public protocol.proto of V3."""

from collections.abc import Mapping
from typing import Any, Final, cast

from perdure.codec.service_protocol import messages_pb2 as shared
from perdure.codec.service_protocol.entries import messages_pb2 as wire
from perdure.codec.service_protocol.entries.commands import DECODERS, ENCODERS
from perdure.codec.service_protocol.entries.dialect import Decode, Start
from perdure.codec.service_protocol.entries.ledger import Ledger
from perdure.codec.service_protocol.entries.results import decode_outcome, encode_result
from perdure.codec.service_protocol.entries.types import CUSTOM_TYPE_MIN, EntryType, encode_entry_frame, entry_name_of
from perdure.codec.service_protocol.errors import attempt_error
from perdure.codec.service_protocol.versions import content_type_of
from perdure.model.journal import AttemptError, Command, CompleteAwakeable, GetEagerState, GetEagerStateKeys, Output
from perdure.model.result import Outcome, Result, StateKeys

_HAS_RETRY_COUNT_MIN: Final = 2


class NumberedDialect:
    """Implements `dialect.Dialect`.

    Args:
        version: 1 to 3.
    """

    keeps_cancellation = True
    cancels_calls = True
    decoders: Mapping[int, Decode] = DECODERS

    def __init__(self, version: int) -> None:
        self.content_type = content_type_of(version)
        self._has_retry_count = version >= _HAS_RETRY_COUNT_MIN

    def encode_start(self, start: Start, known_entries: int) -> bytes:
        message = shared.Start(
            id=start.invocation_id,
            debug_id=start.debug_id,
            known_entries=known_entries,
            partial_state=start.is_state_partial,
            key=start.key,
        )
        if self._has_retry_count:
            message.retry_count_since_last_stored_entry = start.retry_count
            message.duration_since_last_stored_entry = start.since_last_entry_ms
        for name, value in start.state:
            message.state_map.add(key=name, value=value)
        return encode_entry_frame(EntryType.START, message.SerializeToString())

    def encode_command(self, command: Command) -> tuple[int, bytes, bool]:
        own = _own_result(command)
        # The row fits the entry's type by construction of the table.
        code, encode = ENCODERS[type(command)]
        payload = encode(cast("Any", command)).SerializeToString()
        return code, payload if own is None else payload + encode_result(own), isinstance(command, GetEagerState | GetEagerStateKeys)

    def encode_awakeable(self, name: str) -> tuple[int, bytes]:
        return EntryType.AWAKEABLE, wire.Named(name=name).SerializeToString()

    def encode_run(self, name: str, result: Result | None) -> tuple[int, bytes]:
        payload = wire.Named(name=name).SerializeToString()
        return EntryType.RUN, payload if result is None else payload + encode_result(result)

    def encode_result(self, result: Result) -> bytes:
        return encode_result(result)

    def encode_completion(self, index: int, result: Result) -> bytes:
        return encode_entry_frame(EntryType.COMPLETION, wire.Completion(entry_index=index).SerializeToString() + encode_result(result))

    def encode_ack(self, index: int) -> bytes:
        return encode_entry_frame(EntryType.ENTRY_ACK, wire.EntryAck(entry_index=index).SerializeToString())

    def name_of(self, code: int) -> str:
        return entry_name_of(code)

    def is_kept(self, code: int) -> bool:
        return code == EntryType.GET_CALL_INVOCATION_ID or code >= CUSTOM_TYPE_MIN

    def call_asked_for(self, code: int, payload: bytes) -> int | None:
        return wire.GetCallInvocationId.FromString(payload).call_entry_index if code == EntryType.GET_CALL_INVOCATION_ID else None

    def decode_run(self, code: int, payload: bytes) -> tuple[str, Outcome | None] | None:
        return (wire.Named.FromString(payload).name, decode_outcome(payload)) if code == EntryType.RUN else None

    def decode_suspension(self, payload: bytes) -> list[int]:
        return list(wire.Suspension.FromString(payload).entry_indexes)

    def decode_error(self, payload: bytes, ledger: Ledger) -> AttemptError:
        # Its fields are those of later versions, but that it names an entry where they name a command.
        message = shared.Error.FromString(payload)
        index = ledger.command_of(message.related_command_index) if message.HasField("related_command_index") else None
        return attempt_error(message, name_of=entry_name_of, command_index=index)


def _own_result(command: Command) -> Result | None:
    """Return the result that is part of a command."""
    if isinstance(command, Output | CompleteAwakeable | GetEagerState):
        return command.result
    return StateKeys(command.keys) if isinstance(command, GetEagerStateKeys) else None
