"""What a check finds in a partition: nothing after any work of the machine, and each kind of damage by its name."""

from collections.abc import Callable

import msgspec
import pytest

from perdure.model.invocation import InvocationRecord, Status
from perdure.model.journal import Sleep
from perdure.model.mail import KillMail
from perdure.model.mail import encode as encode_mail
from perdure.model.target import HandlerType
from perdure.store.keyspace import Keyspace, unpack
from perdure.upkeep.findings import Damage, Finding, in_both
from perdure.upkeep.rows import PartitionRows
from perdure.upkeep.rules import judge
from tests.unit.invoker.builders import Machine, a_target, an_id

EXCLUSIVE = HandlerType.EXCLUSIVE
Rows = dict[bytes, bytes]
KEYS = Keyspace().partition(0)


def find(rows: Rows, *, number: int = 0, partitions: int = 1) -> list[Finding]:
    check = PartitionRows(number, partitions, Keyspace())
    for key, value in sorted(rows.items()):
        check.take(key, value)
    check.finish()
    return judge(check)


def a_busy_partition() -> Machine:
    """One invocation sleeps, one is scheduled, one completed; one holds an object and two wait for it."""
    machine = Machine()
    machine.running(1)
    machine.send(1, Sleep(5_000, 1))
    machine.invoke(2, execution_at_ms=9_000)
    machine.running(3)
    machine.end(3)
    machine.running(4, a_target(EXCLUSIVE))
    machine.invoke(5, a_target(EXCLUSIVE))
    machine.invoke(6, a_target(EXCLUSIVE))
    machine.rows[KEYS.lease] = msgspec.msgpack.encode(("invoker-1", 3))
    return machine


def changed(rows: Rows, key: bytes, **changes: object) -> None:
    record = msgspec.msgpack.decode(rows[key][1:], type=InvocationRecord)
    for name, value in changes.items():
        setattr(record, name, value)
    rows[key] = b"\x00" + msgspec.msgpack.encode(record)


def test_what_the_machine_leaves_is_sound() -> None:
    assert find(a_busy_partition().rows) == []


def test_it_is_sound_after_everything_has_ended_and_expired() -> None:
    machine = a_busy_partition()
    machine.pass_time(10_000)
    for number in (4, 5, 6):
        if number != 4:
            machine.open(number)
        machine.end(number)
    assert find(machine.rows) == []
    machine.pass_time(200_000_000)
    assert find(machine.rows) == []


def cut_journal(rows: Rows) -> None:
    del rows[KEYS.entry(an_id(1), 1)]


def drop_lock(rows: Rows) -> None:
    del rows[KEYS.lock("Svc", "k")]


def stale_lock(rows: Rows) -> None:
    rows[KEYS.lock("Svc", "other")] = bytes(an_id(3))


def lost_inbox_row(rows: Rows) -> None:
    del rows[KEYS.inbox("Svc", "k", 1)]


def inbox_of_nobody(rows: Rows) -> None:
    rows[KEYS.inbox("Svc", "k", 9)] = bytes(an_id(77))


def lost_wake_up(rows: Rows) -> None:
    del rows[KEYS.timer(5_000, an_id(1), 1)]


def lost_start(rows: Rows) -> None:
    del rows[KEYS.timer(9_000, an_id(2), 0)]


def lost_expiry(rows: Rows) -> None:
    timers = [key for key in rows if key.startswith(KEYS.timers) and unpack(key)[-2] == an_id(3)]
    for key in timers:
        del rows[key]


def wrong_counter(rows: Rows) -> None:
    key = KEYS.count("Svc", "handle", "inboxed")
    assert key in rows
    rows[key] = (7).to_bytes(8, "little")


def torn_record(rows: Rows) -> None:
    rows[KEYS.unfinished(an_id(1))] = rows[KEYS.unfinished(an_id(1))][:-3]


def missing_piece(rows: Rows) -> None:
    rows[KEYS.state("Svc", "k", b"big")] = b"\x01\x00\x00\x00\x02" + b"first"


def piece_alone(rows: Rows) -> None:
    rows[KEYS.state("Svc", "k", b"big") + b"\x15\x01"] = b"\x02" + b"second"


def orphan_journal(rows: Rows) -> None:
    rows[KEYS.entry(an_id(88), 0)] = rows[KEYS.entry(an_id(1), 0)]


def kept_twice(rows: Rows) -> None:
    rows[KEYS.invocation(an_id(1))] = rows[KEYS.unfinished(an_id(1))]


def ended_among_the_living(rows: Rows) -> None:
    changed(rows, KEYS.unfinished(an_id(1)), status=Status.COMPLETED)


def stranger(rows: Rows) -> None:
    rows[KEYS.prefix + b"\x02who\x00"] = b"?"


def unknown_timer(rows: Rows) -> None:
    rows[KEYS.timer(1, an_id(1), 5)] = b"\x63"


def body_without_message(rows: Rows) -> None:
    rows[KEYS.mail_body(b"b1")] = b"\x00" + encode_mail(KillMail(an_id(1)))


def message_without_body(rows: Rows) -> None:
    rows[KEYS.mail + bytes(22)] = b"\x01" + KEYS.mail_body(b"b2")


DAMAGES = [
    (cut_journal, Damage.JOURNAL_GAP),
    (drop_lock, Damage.LOCK_MISSING),
    (stale_lock, Damage.LOCK_WRONG),
    (lost_inbox_row, Damage.INBOX_WRONG),
    (inbox_of_nobody, Damage.INBOX_WRONG),
    (lost_wake_up, Damage.TIMER_MISSING),
    (lost_start, Damage.TIMER_MISSING),
    (lost_expiry, Damage.TIMER_MISSING),
    (wrong_counter, Damage.COUNT_WRONG),
    (torn_record, Damage.UNREADABLE),
    (missing_piece, Damage.PIECES_MISSING),
    (piece_alone, Damage.PIECES_MISSING),
    (orphan_journal, Damage.JOURNAL_ORPHAN),
    (kept_twice, Damage.DOUBLE_RECORD),
    (ended_among_the_living, Damage.WRONG_STATUS),
    (stranger, Damage.UNKNOWN_KEY),
    (unknown_timer, Damage.UNREADABLE),
    (body_without_message, Damage.MAIL_BODY_WRONG),
    (message_without_body, Damage.MAIL_BODY_WRONG),
]


@pytest.mark.parametrize(("plant", "damage"), DAMAGES, ids=[plant.__name__ for plant, _ in DAMAGES])
def test_damage_is_found_and_named(plant: Callable[[Rows], None], damage: Damage) -> None:
    rows = dict(a_busy_partition().rows)
    plant(rows)
    assert damage in {finding.damage for finding in find(rows)}


def test_an_invocation_in_the_partition_of_another_key_is_found() -> None:
    rows = a_busy_partition().rows
    found = [find(rows, partitions=partitions) for partitions in (2, 3, 5, 7)]
    assert any(finding.damage is Damage.WRONG_PARTITION for findings in found for finding in findings)


def test_a_message_in_the_mailbox_is_no_damage() -> None:
    rows = a_busy_partition().rows
    rows[KEYS.mail + bytes(range(22))] = b"\x00" + encode_mail(KillMail(an_id(1)))
    assert find(rows) == []


def test_only_what_two_passes_found_at_one_place_counts() -> None:
    passing, lasting = Finding(Damage.LOCK_WRONG, "a", "x"), Finding(Damage.COUNT_WRONG, "b", "first text")
    again = Finding(Damage.COUNT_WRONG, "b", "second text")
    assert in_both([passing, lasting], [again, Finding(Damage.LOCK_WRONG, "c", "x")]) == [again]
