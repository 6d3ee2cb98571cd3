"""A sealed step as one transaction: leases checked, rows written, mail posted, the batch numbered."""

from collections.abc import Iterable
from typing import NamedTuple

from perdure.base.errors import LeaseLost
from perdure.base.limits import VALUE_BYTES_MAX
from perdure.model.mail import Mail
from perdure.model.mail import decode as decode_mail
from perdure.model.mail import encode as encode_mail
from perdure.store.chunks import clear_chunked, get_chunked, set_chunked
from perdure.store.interface import ReadTransaction, Transaction
from perdure.store.keyspace import Keyspace, PartitionKeys, range_of
from services.invoker.machine.step import Step
from services.invoker.machine.view import Live


class Batch:
    """What one commit writes.

    Attributes:
        step: Its effects are carried out after the commit.
        sequence: Place among the batches of this owner.
        number: The same, with the owner's id: told from all other batches of this owner; resolves commits of unknown outcome.
        leases: Lease row -> its expected value, for every partition that the batch writes.
        lengths: Changed invocations and the number of their entries that this batch makes durable.
    """

    def __init__(self, step: Step, sequence: int, number: bytes, leases: dict[bytes, bytes], keyspace: Keyspace, sender: bytes) -> None:
        self.step = step
        self.sequence = sequence
        self.number = number
        self.leases = leases
        self.lengths: list[tuple[Live, int]] = [(live, live.record.journal_length) for live in step.dirty.values()]
        self.mail = rows_of_mail(step.mailed, keyspace, sequence.to_bytes(8, "big") + sender)
        has_rows = bool(step.writes or step.wide or step.cleared or self.mail)
        self._marker = keyspace.partition(min(step.touched)).batch if has_rows else None

    def write(self, tr: Transaction) -> None:
        """Write the batch, unless an earlier try of the same batch has committed.

        Raises:
            LeaseLost: Another owner's epoch is in the store; nothing is written.
        """
        for key, expected in self.leases.items():
            if tr.get(key) != expected:
                raise LeaseLost(f"the lease at {key!r} is no longer ours")
        if self._marker is not None:
            if tr.get(self._marker) == self.number:
                return
            tr.set(self._marker, self.number)
        _write_rows(tr, self.step)
        write_mail(tr, self.mail)


def _write_rows(tr: Transaction, step: Step) -> None:
    for prefix in step.cleared:
        tr.clear_range(*range_of(prefix))
    for key, value in step.writes.items():
        if value is None:
            tr.clear(key)
        else:
            tr.set(key, value)
    for key, value in step.wide.items():
        if value is None:
            clear_chunked(tr, key)
        else:
            set_chunked(tr, key, value)


class MailRow(NamedTuple):
    """A message on its way into a mailbox; its body apart where it is too large for a row."""

    prefix: bytes
    suffix: bytes
    value: bytes
    body_key: bytes = b""
    body: bytes = b""


_INLINE = b"\x00"
_APART = b"\x01"


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
        tr.set_versionstamped_key(row.prefix, row.suffix, row.value)


def _row_of(keys: PartitionKeys, suffix: bytes, mail: Mail) -> MailRow:
    raw = encode_mail(mail)
    if len(raw) < VALUE_BYTES_MAX:
        return MailRow(keys.mail, suffix, _INLINE + raw)
    body_key = keys.mail_body(suffix)
    return MailRow(keys.mail, suffix, _APART + body_key, body_key, raw)


def read_mail(tr: ReadTransaction, value: bytes) -> tuple[Mail, bytes]:
    """Return the message of a mailbox row, and the key of its body if that is apart."""
    if value[:1] == _INLINE:
        return decode_mail(value[1:]), b""
    raw = get_chunked(tr, value[1:])
    assert raw is not None, "a message and its body are written and removed together"
    return decode_mail(raw), value[1:]


def mail_range(keys: PartitionKeys, after: bytes | None) -> tuple[bytes, bytes]:
    """Return begin and end of the mail of a partition behind the row `after`."""
    begin = keys.mail if after is None else after + b"\x00"
    return begin, keys.mail_end
