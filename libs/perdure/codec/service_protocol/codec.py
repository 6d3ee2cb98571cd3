"""The codec of an attempt, by protocol version. Callers see one interface and one model of the journal, whatever the version."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from perdure.base.ids import InvocationId
from perdure.codec.service_protocol.decoder import AttemptDecoder
from perdure.codec.service_protocol.encoder import AttemptEncoder
from perdure.codec.service_protocol.entries import EntryDecoder, EntryEncoder, Ledger, NumberedDialect
from perdure.codec.service_protocol.entries.dialect import Dialect
from perdure.codec.service_protocol.events import AttemptEvent
from perdure.codec.service_protocol.seed import SeedDialect
from perdure.codec.service_protocol.versions import COMMANDS_VERSION_MIN, SEED_VERSION, VERSION_MAX, VERSION_MIN
from perdure.model.journal import Entry, Notification


class Encoder(Protocol):
    """What the server sends; each call returns the bytes to send, which may be none. See `AttemptEncoder`."""

    content_type: str

    def start(
        self,
        *,
        invocation_id: InvocationId,
        debug_id: str,
        known_entries: int,
        state: Sequence[tuple[bytes, bytes]] = (),
        is_state_partial: bool = True,
        key: str = "",
        retry_count: int = 0,
        since_last_entry_ms: int = 0,
        random_seed: int = 0,
        idempotency_key: str | None = None,
    ) -> bytes: ...

    def entry(self, entry: Entry) -> bytes: ...

    def notification(self, notification: Notification) -> bytes: ...

    def command_ack(self, index: int) -> bytes: ...

    def proposal_ack(self, completion_id: int) -> bytes: ...


class Decoder(Protocol):
    """What the deployment sends. See `AttemptDecoder`."""

    @property
    def has_ended(self) -> bool: ...

    def receive(self, data: bytes) -> list[AttemptEvent]: ...


class Codec(NamedTuple):
    """Both directions of one attempt."""

    encoder: Encoder
    decoder: Decoder


_ENCODERS: Final = {version: AttemptEncoder(version) for version in range(COMMANDS_VERSION_MIN, VERSION_MAX + 1)}

_DIALECTS: Final[Mapping[int, Dialect]] = {
    SEED_VERSION: SeedDialect(),
    **{version: NumberedDialect(version) for version in range(VERSION_MIN, COMMANDS_VERSION_MIN)},
}


def codec_for(version: int, *, message_bytes_max: int) -> Codec:
    """Return the codec of a new attempt.

    Args:
        version: 1 to 7, as pinned or negotiated; 0 is the seed era's.
        message_bytes_max: See `AttemptDecoder`.
    """
    assert SEED_VERSION <= version <= VERSION_MAX
    if version >= COMMANDS_VERSION_MIN:
        return Codec(_ENCODERS[version], AttemptDecoder(version, message_bytes_max=message_bytes_max))
    ledger = Ledger()
    dialect = _DIALECTS[version]
    return Codec(EntryEncoder(dialect, ledger), EntryDecoder(dialect, ledger, message_bytes_max=message_bytes_max))
