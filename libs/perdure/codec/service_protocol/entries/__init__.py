"""The service protocol, versions 1 to 3: one list of entries, each of which carries its own result."""

from perdure.codec.service_protocol.entries.decoder import EntryDecoder
from perdure.codec.service_protocol.entries.encoder import EntryEncoder
from perdure.codec.service_protocol.entries.ledger import Ledger

__all__ = ["EntryDecoder", "EntryEncoder", "Ledger"]
