"""Protocols whose journal is one list of entries, each of which carries its own result: the versions 1 to 3, and that of the seed era."""

from perdure.codec.service_protocol.entries.decoder import EntryDecoder
from perdure.codec.service_protocol.entries.encoder import EntryEncoder
from perdure.codec.service_protocol.entries.ledger import Ledger
from perdure.codec.service_protocol.entries.numbered import NumberedDialect

__all__ = ["EntryDecoder", "EntryEncoder", "Ledger", "NumberedDialect"]
