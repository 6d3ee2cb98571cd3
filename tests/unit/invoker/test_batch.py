"""What a batch writes of its messages, and how the receiver reads them back."""

from typing import Any

import msgspec
import pytest

from perdure.base.errors import LeaseLost
from perdure.base.limits import VALUE_BYTES_MAX
from perdure.model.invocation import CallSink
from perdure.model.journal import CompletionType
from perdure.model.mail import AttachMail, CompletionMail, Mail
from perdure.model.result import Success
from perdure.store.chunks import clear_ahead, clear_chunked, get_chunked, get_range_chunked
from perdure.store.keyspace import Keyspace, range_of, unpack
from perdure.upkeep.rows import PartitionRows
from services.invoker.batch import Batch
from services.invoker.machine.events import MailReceived
from services.invoker.machine.step import Step
from services.invoker.mail_rows import mail_range, read_mail
from tests.unit.invoker.builders import Machine, an_id

KEYSPACE = Keyspace()


class Rows(dict[bytes, bytes]):
    """A transaction in memory that refuses what a row cannot hold."""

    def set(self, key: bytes, value: bytes) -> None:
        assert len(value) <= VALUE_BYTES_MAX
        self[key] = value

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def get_ranges(self, ranges: list[tuple[bytes, bytes]]) -> list[list[tuple[bytes, bytes]]]:
        return [self.get_range(begin, end) for begin, end in ranges]

    def set_versionstamped_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        self.set(prefix + bytes(10) + suffix, value)

    def clear(self, key: Any = None) -> None:
        self.pop(key, None)

    def clear_range(self, begin: bytes, end: bytes) -> None:
        for key in [key for key in self if begin <= key < end]:
            del self[key]

    def get_range(self, begin: bytes, end: bytes, **_: object) -> list[tuple[bytes, bytes]]:
        return sorted((key, value) for key, value in self.items() if begin <= key < end)


def as_transaction(rows: dict[bytes, bytes]) -> Any:
    return Rows(rows)


def written(mail: Mail) -> Any:
    step = Step()
    step.mailed.append((0, mail))
    step.touched.add(0)
    rows: Any = Rows()
    Batch(step, 1, b"i-1", {}, KEYSPACE, b"i").write(rows)
    return rows


@pytest.mark.parametrize(
    ("mail", "has_body"),
    [
        (AttachMail(an_id(1), CallSink(an_id(2), 3)), False),
        (CompletionMail(an_id(1), CompletionType.CALL, 2, Success(b"v" * 300_000)), True),
    ],
)
def test_a_message_of_any_size_is_read_back_as_it_was_sent(mail: Mail, has_body: bool) -> None:
    rows = written(mail)
    (value,) = [value for key, value in rows.items() if key.startswith(KEYSPACE.partition(0).mail)]
    received, body_key, _ = read_mail(rows, value)
    assert received == mail
    assert bool(body_key) is has_body


def test_applying_a_message_removes_its_row_and_its_body() -> None:
    machine = Machine()
    mail = CompletionMail(an_id(1), CompletionType.CALL, 2, Success(b"v" * 300_000))
    machine.rows = dict(written(mail))
    keys = machine.keys
    (row,) = [key for key in machine.rows if key.startswith(keys.mail)]
    _, body_key, _ = read_mail(as_transaction(machine.rows), machine.rows[row])
    step = machine.feed(MailReceived(mail, row, body_key))
    assert step.wide == {body_key: None}
    assert row not in machine.rows


MB = 1_000_000
LEASES = {KEYSPACE.partition(0).lease: b"lease"}


def a_large_step() -> tuple[Step, dict[bytes, bytes | None]]:
    """Return a step of 58 MB, in values of all sorts, and what is to be read once it is written."""
    keys = KEYSPACE.partition(0)
    wide = {keys.entry(an_id(1), 1): b"e" * (20 * MB), keys.state("Svc", "k", b"name"): b"s" * (12 * MB)}
    narrow = {keys.entry(an_id(2), index): b"n" * 80_000 for index in range(200)}
    small = {keys.state("Svc", "k", b"%d" % index): b"v" for index in range(100)}
    step = Step()
    step.touched.add(0)
    for key, value in {**wide, **narrow, **small}.items():
        step.put_value(key, value)
    step.mailed += [(1, CompletionMail(an_id(1), CompletionType.CALL, index, Success(b"m" * 85_000))) for index in range(100)]
    step.mailed.append((2, CompletionMail(an_id(1), CompletionType.CALL, 2, Success(b"m" * (2 * MB)))))
    return step, {**wide, **narrow, **small}


def commit_sizes(batch: Batch, rows: Any) -> list[int]:
    """Write a batch as its owner does; return about how many bytes each transaction changed."""
    sizes: list[int] = []
    for write in (*batch.ahead(), batch.write):
        before = dict(rows)
        write(rows)
        sizes.append(sum(3 * len(key) + len(value) for key, value in rows.items() if before.get(key) != value))
    return sizes


def messages_in(rows: Any, partition: int) -> list[Mail]:
    keys = KEYSPACE.partition(partition)
    return [read_mail(rows, value)[0] for _, value in rows.get_range(*mail_range(keys, None))]


def test_a_batch_of_any_size_is_written_in_transactions_that_foundationdb_takes() -> None:
    step, values = a_large_step()
    mailed = list(step.mailed)
    rows: Any = Rows(LEASES)
    batch = Batch(step, 1, b"i-1", LEASES, KEYSPACE, b"i")
    sizes = commit_sizes(batch, rows)
    assert len(sizes) > 8
    assert max(sizes) < 6 * MB
    assert {key: get_chunked(rows, key) for key in values} == values
    assert messages_in(rows, 1) == [mail for partition, mail in mailed if partition == 1]
    assert messages_in(rows, 2) == [mail for partition, mail in mailed if partition == 2]
    assert not rows.get_range(*range_of(KEYSPACE.partition(0).writings))


def test_nothing_of_a_large_batch_shows_before_its_last_transaction_and_its_row_names_all_that_is_there() -> None:
    step, values = a_large_step()
    rows: Any = Rows(LEASES)
    for write in Batch(step, 1, b"i-1", LEASES, KEYSPACE, b"i").ahead():
        write(rows)
    assert [get_chunked(rows, key) for key in values] == [None] * len(values)
    assert messages_in(rows, 1) == messages_in(rows, 2) == []
    assert not check_of(rows).findings
    ((row, named),) = get_range_chunked(rows, *range_of(KEYSPACE.partition(0).writings))
    writing = unpack(row)[-1]
    assert isinstance(writing, bytes)
    for key in msgspec.msgpack.decode(named, type=list[bytes]):
        clear_ahead(rows, key, writing)
    clear_chunked(rows, row)
    assert rows == LEASES


def test_a_large_batch_that_is_tried_again_after_it_was_written_writes_nothing() -> None:
    step, _ = a_large_step()
    rows: Any = Rows(LEASES)
    batch = Batch(step, 1, b"i-1", LEASES, KEYSPACE, b"i")
    parts = [*batch.ahead(), batch.write]
    for write in parts:
        write(rows)
    written = dict(rows)
    for write in parts:
        write(rows)
    assert rows == written


@pytest.mark.parametrize("after", [0, 3])
def test_a_large_batch_writes_nothing_more_once_the_partition_is_another_owners(after: int) -> None:
    step, _ = a_large_step()
    rows: Any = Rows(LEASES)
    parts = list(Batch(step, 1, b"i-1", LEASES, KEYSPACE, b"i").ahead())
    for write in parts[:after]:
        write(rows)
    rows[KEYSPACE.partition(0).lease] = b"of another"
    before = dict(rows)
    with pytest.raises(LeaseLost):
        parts[after](rows)
    assert rows == before


def check_of(rows: Any) -> PartitionRows:
    check = PartitionRows(0, 3, KEYSPACE)
    for key, value in rows.get_range(*range_of(KEYSPACE.partition(0).prefix)):
        if key not in LEASES:
            check.take(key, value)
    check.finish()
    return check
