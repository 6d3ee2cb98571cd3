"""Keys are exactly what the tuple layer would make of their parts, and ranges hold exactly their own keys."""

import fdb.tuple as fdb_tuple
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base.ids import InvocationId
from perdure.store import keyspace

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
IDS = st.binary(min_size=24, max_size=24).map(InvocationId)
NUMBERS = st.one_of(
    st.integers(0, 300), st.integers(0, (1 << 64) - 2)
)  # the tuple layer packs the largest u64 in its form for big integers
KEYS = keyspace.Keyspace("root")
PARTITIONS = st.integers(0, 4_095)


@given(PARTITIONS, IDS, NUMBERS, NUMBERS)
def test_keys_of_invocations_are_tuples(partition: int, invocation: InvocationId, index: int, at_ms: int) -> None:
    keys = KEYS.partition(partition)
    head = ("root", "p", partition)
    assert keys.prefix == fdb_tuple.pack(head)
    assert keys.invocation(invocation) == fdb_tuple.pack((*head, "inv", invocation))
    assert keys.entry(invocation, index) == fdb_tuple.pack((*head, "journal", invocation, index))
    assert keys.event(invocation, index) == fdb_tuple.pack((*head, "event", invocation, index))
    assert keys.timer(at_ms, invocation, index) == fdb_tuple.pack((*head, "timer", at_ms, invocation, index))


@given(PARTITIONS, TEXTS, TEXTS, st.binary(), NUMBERS)
def test_keys_of_objects_are_tuples(partition: int, service: str, key: str, name: bytes, sequence: int) -> None:
    keys = KEYS.partition(partition)
    head = ("root", "p", partition)
    assert keys.state(service, key, name) == fdb_tuple.pack((*head, "state", service, key, name))
    assert keys.lock(service, key) == fdb_tuple.pack((*head, "lock", service, key))
    assert keys.inbox(service, key, sequence) == fdb_tuple.pack((*head, "inbox", service, key, sequence))


@given(PARTITIONS, TEXTS, TEXTS, TEXTS)
def test_keys_of_promises_and_counts_are_tuples(partition: int, service: str, key: str, name: str) -> None:
    keys = KEYS.partition(partition)
    head = ("root", "p", partition)
    assert keys.promise(service, key, name) == fdb_tuple.pack((*head, "promise", service, key, name))
    assert keys.count(service, key, name) == fdb_tuple.pack((*head, "count", service, key, name))


@given(TEXTS, NUMBERS, st.binary())
def test_keys_of_metadata_and_blobs_are_tuples(name: str, number: int, blob: bytes) -> None:
    assert KEYS.deployment(name) == fdb_tuple.pack(("root", "meta", "deployment", name))
    assert KEYS.service(name, number) == fdb_tuple.pack(("root", "meta", "service", name, number))
    assert KEYS.subscription(name) == fdb_tuple.pack(("root", "meta", "subscription", name))
    assert KEYS.blob(blob, number) == fdb_tuple.pack(("root", "blob", blob, number))


def test_single_keys_are_tuples() -> None:
    assert KEYS.meta_version == fdb_tuple.pack(("root", "meta", "version"))
    assert KEYS.format_version == fdb_tuple.pack(("root", "cluster", "format"))
    assert KEYS.partition_count == fdb_tuple.pack(("root", "cluster", "partitions"))
    keys = KEYS.partition(7)
    assert keys.lease == fdb_tuple.pack(("root", "p", 7, "lease"))
    assert keys.batch == fdb_tuple.pack(("root", "p", 7, "batch"))


@given(st.lists(st.tuples(TEXTS, TEXTS, st.binary()), unique=True, min_size=2, max_size=10))
def test_state_keys_are_ordered_like_their_parts(parts: list[tuple[str, str, bytes]]) -> None:
    keys = KEYS.partition(0)
    by_key = sorted(parts, key=lambda one: keys.state(*one))
    assert by_key == sorted(parts, key=lambda one: (one[0].encode(), one[1].encode(), one[2]))


@given(st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 63) - 1), IDS, IDS)
def test_timers_are_ordered_by_their_time(a: int, b: int, first: InvocationId, second: InvocationId) -> None:
    keys = KEYS.partition(0)
    assert (keys.timer(a, first, 0) < keys.timer(b, second, 0)) == ((a, first) < (b, second))


@given(TEXTS, TEXTS, TEXTS, TEXTS, st.binary())
def test_a_range_holds_the_state_of_its_object_alone(service: str, key: str, other_service: str, other_key: str, name: bytes) -> None:
    keys = KEYS.partition(0)
    begin, end = keyspace.range_of(keys.state_of(service, key))
    is_same = (service, key) == (other_service, other_key)
    assert (begin <= keys.state(other_service, other_key, name) < end) == is_same


@given(IDS, IDS, NUMBERS)
def test_a_range_holds_the_journal_of_its_invocation_alone(invocation: InvocationId, other: InvocationId, index: int) -> None:
    keys = KEYS.partition(0)
    begin, end = keyspace.range_of(keys.journal(invocation))
    assert begin <= keys.entry(invocation, index) < end
    assert (begin <= keys.entry(other, index) < end) == (invocation == other)


@pytest.mark.parametrize(
    "name", ["invocations", "journals", "states", "locks", "inboxes", "mutations", "timers", "promises", "events", "counts"]
)
def test_a_range_of_one_kind_holds_no_other_kind(name: str) -> None:
    keys = KEYS.partition(3)
    begin, end = keyspace.range_of(getattr(keys, name))
    invocation = InvocationId(bytes(24))
    samples = {
        "invocations": keys.invocation(invocation),
        "journals": keys.entry(invocation, 0),
        "states": keys.state("s", "k", b"n"),
        "locks": keys.lock("s", "k"),
        "inboxes": keys.inbox("s", "k", 0),
        "mutations": keys.mutation("s", "k", 0),
        "timers": keys.timer(0, invocation, 0),
        "promises": keys.promise("s", "k", "n"),
        "events": keys.event(invocation, 0),
        "counts": keys.count("s", "h", "x"),
        "other partition": KEYS.partition(4).invocation(invocation),
    }
    assert [kind for kind, key in samples.items() if begin <= key < end] == [name]


@given(IDS, NUMBERS)
def test_unpacking_returns_the_parts(invocation: InvocationId, index: int) -> None:
    assert keyspace.unpack(KEYS.partition(1).entry(invocation, index)) == ("root", "p", 1, "journal", invocation, index)
