"""A sealed step as one transaction: leases checked, rows written, mail posted, the batch numbered."""

import functools
from collections.abc import Callable, Iterator
from typing import Final

from perdure.base.errors import LeaseLost
from perdure.base.limits import COMMIT_BYTES_MAX, TRANSACTION_BYTES_MAX
from perdure.store.chunks import WHOLE_VALUE, clear_chunked, set_chunked
from perdure.store.interface import Transaction
from perdure.store.keyspace import Keyspace, range_of
from services.invoker.ahead import Ahead
from services.invoker.machine.step import Step
from services.invoker.machine.view import Live
from services.invoker.mail_rows import MailRow, rows_of_mail, write_mail

_ROW_BYTES: Final = 250
"""What a row adds to a transaction beside its value: FoundationDB counts its key three times, once written and twice for conflicts."""


class Batch:
    """What one commit writes.

    Attributes:
        step: Its effects are carried out after the commit.
        sequence: Place among the batches of this owner.
        number: The same, with the owner's id: told from all other batches of this owner; resolves commits of unknown outcome.
        leases: Lease row -> its expected value, for every partition that the batch writes.
        lengths: Changed invocations and the number of their entries that this batch makes durable.
        since_ms: When the first of its events came.
        rows, size_bytes: About what it writes.
    """

    def __init__(
        self, step: Step, sequence: int, number: bytes, leases: dict[bytes, bytes], keyspace: Keyspace, sender: bytes, since_ms: int = 0
    ) -> None:
        self.step = step
        self.sequence = sequence
        self.number = number
        self.leases = leases
        self.since_ms = since_ms
        self.lengths: list[tuple[Live, int]] = [(live, live.record.journal_length) for live in step.dirty.values()]
        self.mail = rows_of_mail(step.mailed, keyspace, sequence.to_bytes(8, "big") + sender)
        has_rows = bool(step.writes or step.wide or step.cleared or self.mail)
        self._marker = keyspace.partition(min(step.touched)).batch if has_rows else None
        self._ahead: Ahead | None = None
        self.rows = len(step.writes) + len(step.wide) + len(self.mail)
        self.size_bytes = size_bytes = _size_of(step, self.mail)
        if size_bytes > COMMIT_BYTES_MAX:
            self._ahead = Ahead(number, keyspace, min(step.touched), self._take_out(size_bytes - TRANSACTION_BYTES_MAX, keyspace))

    def _take_out(self, excess: int, keyspace: Keyspace) -> dict[bytes, bytes]:
        """Take the largest values out of the batch until it has so many bytes less; return key -> value.

        What may be taken: values whose readers and writers know of pieces, entries of journals, which are written once, and messages.
        """
        step = self.step
        journals = tuple(keyspace.partition(number).journals for number in step.touched)
        values = {key: value for key, value in step.wide.items() if value is not None}
        values |= {key: value[len(WHOLE_VALUE) :] for key, value in step.writes.items() if value is not None and key.startswith(journals)}
        values |= {row.body_key: row.message for row in self.mail}
        cleared = tuple(step.cleared)
        taken: dict[bytes, bytes] = {}
        for key, value in sorted(values.items(), key=lambda row: len(row[1]), reverse=True):
            if excess > 0 and not key.startswith(cleared):
                excess -= len(value)
                taken[key] = value
                step.wide.pop(key, None)
                step.writes.pop(key, None)
        self.mail = [row.without_body() if row.body_key in taken else row for row in self.mail]
        return taken

    def ahead(self) -> Iterator[Callable[[Transaction], None]]:
        """Yield what must have committed before `write`, in this order: nothing where one transaction takes the whole batch."""
        if self._ahead is not None:
            for part in self._ahead.parts():
                yield functools.partial(self._write_ahead, self._ahead, part)

    def _write_ahead(self, ahead: Ahead, part: list[tuple[bytes, bytes]], tr: Transaction) -> None:
        if not self._is_written(tr):
            ahead.write(tr, part)

    def write(self, tr: Transaction) -> None:
        """Write the batch, unless an earlier try of the same batch has committed.

        Raises:
            LeaseLost: Another owner's epoch is in the store; nothing is written.
        """
        if self._is_written(tr):
            return
        if self._marker is not None:
            tr.set(self._marker, self.number)
        _write_rows(tr, self.step)
        write_mail(tr, self.mail)
        if self._ahead is not None:
            self._ahead.finish(tr)

    def _is_written(self, tr: Transaction) -> bool:
        """Whether an earlier try has committed. That this is read lets a late try conflict with the one that did."""
        markers = [] if self._marker is None else [self._marker]
        found = tr.get_many([*self.leases, *markers])
        for (key, expected), value in zip(self.leases.items(), found, strict=False):
            if value != expected:
                raise LeaseLost(f"the lease at {key!r} is no longer ours")
        return bool(markers) and found[-1] == self.number


def _size_of(step: Step, mail: list[MailRow]) -> int:
    """Return about how many bytes a transaction of all these rows has, if not more."""
    rows = len(step.writes) + len(step.wide) + len(mail)
    return step.size_bytes + rows * _ROW_BYTES + sum(len(row.value) + len(row.body) for row in mail)


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
