"""The protocol of the seed era as a dialect. Source: shared/spec/seed-era.md, 2.3 to 2.6 and 9.5.

It has neither runs nor questions for the ids of callees. Side effects and combinators are entries of the SDK's own: they are kept.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from perdure.base.errors import LocalProtocolError
from perdure.codec.rpc.failures import http_code_of
from perdure.codec.service_protocol.entries.dialect import Decode, Start
from perdure.codec.service_protocol.entries.ledger import Ledger
from perdure.codec.service_protocol.entries.types import EntryType, encode_entry_frame
from perdure.codec.service_protocol.frames import HEADER
from perdure.codec.service_protocol.seed import messages_pb2 as wire
from perdure.codec.service_protocol.seed.commands import COMPLETED, DECODERS, ENCODERS, encode_result
from perdure.codec.service_protocol.seed.types import NAMES, PROTOCOL_VERSION, name_of
from perdure.model.journal import AttemptError, Command
from perdure.model.result import Outcome, Result

_CUSTOM_BITS: Final = 0xFC00
_DOC_CODES: Final = {32: "RT0016", 33: "RT0012"}
_DOC_CODE_DEFAULT: Final = "RT0007"


class SeedDialect:
    """Implements `entries.dialect.Dialect`."""

    content_type: str = "application/restate"
    keeps_cancellation = False
    cancels_calls = False
    decoders: Mapping[int, Decode] = DECODERS

    def encode_start(self, start: Start, known_entries: int) -> bytes:
        message = wire.Start(
            id=start.invocation_id, debug_id=start.debug_id, known_entries=known_entries, is_state_partial=start.is_state_partial
        )
        for key, value in start.state:
            message.state.add(key=key, value=value)
        payload = message.SerializeToString()
        return HEADER.pack(EntryType.START, PROTOCOL_VERSION, len(payload)) + payload

    def encode_command(self, command: Command) -> tuple[int, bytes, bool]:
        # The row fits the entry's type by construction of the table.
        code, encode = ENCODERS[type(command)]
        return code, encode(cast("Any", command)), isinstance(command, COMPLETED)

    def encode_awakeable(self, name: str) -> tuple[int, bytes]:
        return EntryType.AWAKEABLE, b""

    def encode_run(self, name: str, result: Result | None) -> tuple[int, bytes]:
        raise LocalProtocolError("a run in a journal of the seed era")

    def encode_result(self, result: Result) -> bytes:
        return encode_result(result)

    def encode_completion(self, index: int, result: Result) -> bytes:
        return encode_entry_frame(EntryType.COMPLETION, wire.Answer(entry_index=index).SerializeToString() + encode_result(result))

    def encode_ack(self, index: int) -> bytes:
        return encode_entry_frame(EntryType.ENTRY_ACK, wire.Answer(entry_index=index).SerializeToString())

    def name_of(self, code: int) -> str:
        return name_of(code)

    def is_kept(self, code: int) -> bool:
        return code & _CUSTOM_BITS != 0 and (code & _CUSTOM_BITS == _CUSTOM_BITS or code not in NAMES)

    def call_asked_for(self, code: int, payload: bytes) -> int | None:
        return None

    def decode_run(self, code: int, payload: bytes) -> tuple[str, Outcome | None] | None:
        return None

    def decode_suspension(self, payload: bytes) -> list[int]:
        return list(wire.Suspension.FromString(payload).entry_indexes)

    def decode_error(self, payload: bytes, ledger: Ledger) -> AttemptError:
        message = wire.Error.FromString(payload)
        return AttemptError(
            code=http_code_of(message.code),
            message=message.message,
            doc_code=_DOC_CODES.get(message.code, _DOC_CODE_DEFAULT),
            stacktrace=message.description,
        )
