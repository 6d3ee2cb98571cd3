"""A sealed step as one transaction: leases checked, rows written, mail posted, the batch numbered."""

import msgspec

from perdure.base.errors import LeaseLost
from perdure.store.chunks import clear_chunked, set_chunked
from perdure.store.interface import Transaction
from perdure.store.keyspace import Keyspace, PartitionKeys, range_of
from services.invoker.machine.mail import encode as encode_mail
from services.invoker.machine.step import Step
from services.invoker.machine.view import Live


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """Who may write a partition: the owner's process id, and the epoch that fences earlier owners."""

    owner: str
    epoch: int


_encode = msgspec.msgpack.Encoder().encode
_decode_lease = msgspec.msgpack.Decoder(Lease).decode


def encode_lease(lease: Lease) -> bytes:
    """Return the stored form of a lease; equal leases have equal bytes."""
    return _encode(lease)


def decode_lease(raw: bytes) -> Lease:
    """Return the lease that a row holds."""
    return _decode_lease(raw)


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
        self.mail = _rows_of_mail(step, keyspace, sequence.to_bytes(8, "big") + sender)
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
        step = self.step
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
        for prefix, suffix, raw in self.mail:
            tr.set_versionstamped_key(prefix, suffix, raw)


def _rows_of_mail(step: Step, keyspace: Keyspace, origin: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [
        (keyspace.partition(partition).mail, index.to_bytes(4, "big") + origin, encode_mail(mail))
        for index, (partition, mail) in enumerate(step.mailed)
    ]


def mail_range(keys: PartitionKeys, after: bytes | None) -> tuple[bytes, bytes]:
    """Return begin and end of the mail of a partition behind the row `after`."""
    begin = keys.mail if after is None else after + b"\x00"
    return begin, keys.mail + b"\xff" * 11
