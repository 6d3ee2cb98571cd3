"""Messages as rows of mailboxes: how senders post them, and receivers read them back."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from perdure.base.limits import VALUE_BYTES_MAX
from perdure.model.mail import Mail
from perdure.model.mail import decode as decode_mail
from perdure.model.mail import encode as encode_mail
from perdure.store.chunks import get_chunked, set_chunked
from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.keyspace import Keyspace, PartitionKeys

_INLINE: Final = b"\x00"
_APART: Final = b"\x01"


class MailRow(NamedTuple):
    """A message on its way into a mailbox; its body apart where it is too large for a row.

    Attributes:
        body: Empty where it is in the row, or is written by somebody else.
    """

    keys: PartitionKeys
    suffix: bytes
    value: bytes
    body: bytes = b""

    @property
    def body_key(self) -> bytes:
        """Where the body is, or would be."""
        return self.keys.mail_body(self.suffix)

    @property
    def message(self) -> bytes:
        """The message, encoded."""
        return self.body or self.value[len(_INLINE) :]

    def without_body(self) -> "MailRow":
        """Return the row for a message that is at `body_key` already."""
        return MailRow(self.keys, self.suffix, _APART + self.body_key)


def rows_of_mail(mailed: Iterable[tuple[int, Mail]], keyspace: Keyspace, origin: bytes) -> list[MailRow]:
    """Return messages for partitions as rows, in order; `origin` is told from that of all other transactions."""
    return [
        _row_of(keyspace.partition(partition), index.to_bytes(4, "big") + origin, mail) for index, (partition, mail) in enumerate(mailed)
    ]


def write_mail(tr: Transaction, rows: list[MailRow]) -> None:
    """Post messages, behind those of all earlier commits."""
    for row in rows:
        if row.body:
            set_chunked(tr, row.body_key, row.body, is_new=True)
        tr.set_versionstamped_key(row.keys.mail, row.suffix, row.value)


def _row_of(keys: PartitionKeys, suffix: bytes, mail: Mail) -> MailRow:
    raw = encode_mail(mail)
    if len(raw) < VALUE_BYTES_MAX:
        return MailRow(keys, suffix, _INLINE + raw)
    return MailRow(keys, suffix, _APART + keys.mail_body(suffix), raw)


def read_mail(tr: ReadTransaction, value: bytes) -> tuple[Mail, bytes, int]:
    """Return the message of a mailbox row, the key of its body if that is apart, and how many bytes it has."""
    if value[:1] == _INLINE:
        return decode_mail(value[1:]), b"", len(value)
    raw = get_chunked(tr, value[1:])
    assert raw is not None, "a message and its body are written and removed together"
    return decode_mail(raw), value[1:], len(raw)


def mail_range(keys: PartitionKeys, after: bytes | None) -> tuple[bytes, bytes]:
    """Return begin and end of the mail of a partition behind the row `after`."""
    begin = keys.mail if after is None else after + b"\x00"
    return begin, keys.mail_end
