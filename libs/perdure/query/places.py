"""Where in the store the rows are that a statement wants: by invocation id, by partition key, by service and key."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

from perdure.base.ids import InvalidId, InvocationId, format_invocation_id, parse_invocation_id, partition_key_of_key
from perdure.query.table import Snapshot
from perdure.query.wanted import Conditions
from perdure.store.keyspace import PartitionKeys, range_of, unpack

_KEY_BYTES: Final = 8
"""Length of the partition key at the beginning of an invocation id."""
_EMPTY_TEXT_BYTES: Final = 2
"""Length of an empty text at the end of a packed key."""

Range = tuple[bytes, bytes]


@lru_cache(maxsize=4_096)
def id_text(invocation_id: bytes) -> str:
    """Return the text of an id; many rows of one invocation follow each other."""
    return format_invocation_id(InvocationId(invocation_id))


def partition_key_of(invocation_id: bytes) -> int:
    """Return the partition key of an invocation."""
    return int.from_bytes(invocation_id[:_KEY_BYTES], "big")


def invocations_wanted(
    snapshot: Snapshot, conditions: Conditions, *, id_column: str = "id", key_column: str | None = None
) -> Iterator[tuple[PartitionKeys, bytes]]:
    """Yield partitions, and the beginning of the invocation ids that are wanted there: whole ids, partition keys, or nothing."""
    ids = conditions.texts(id_column)
    if ids is not None:
        for known in sorted(_parsed(ids)):
            yield _partition_at(snapshot, partition_key_of(known)), known
        return
    partition_keys = _partition_keys(conditions, key_column)
    if partition_keys is not None:
        for partition_key in sorted(partition_keys):
            yield _partition_at(snapshot, partition_key), partition_key.to_bytes(_KEY_BYTES, "big")
        return
    for number in range(snapshot.partitions):
        yield snapshot.keyspace.partition(number), b""


def range_at(key_of: Callable[[InvocationId], bytes], beginning: bytes) -> Range:
    """Return the range of the keys whose id begins so; `key_of` packs a key that ends with an id."""
    packed = key_of(InvocationId(beginning))[:-1]  # an id that goes on has no end here
    return packed, _behind(packed)


def objects_wanted(
    snapshot: Snapshot, conditions: Conditions, keys_at: Callable[[PartitionKeys, str, str], bytes], *, id_column: str | None = None
) -> Iterator[tuple[PartitionKeys, Range]]:
    """Yield the ranges that hold what is wanted of objects: by service and key, by service, or all of a partition.

    Args:
        keys_at: Packs the prefix of one object, a service and a key at its end.
        id_column: A column with ids of invocations of the object.
    """
    services, keys = conditions.texts("service_name"), conditions.texts("service_key")
    for partition in _partitions(snapshot, conditions, id_column):
        if services is None:
            whole = keys_at(partition, "", "")[: -2 * _EMPTY_TEXT_BYTES]
            yield partition, range_of(whole)
            continue
        for service in sorted(services):
            if keys is None:
                yield partition, range_of(keys_at(partition, service, "")[:-_EMPTY_TEXT_BYTES])
                continue
            for key in sorted(keys):
                if _partition_at(snapshot, partition_key_of_key(key)) is partition:
                    prefix = keys_at(partition, service, key)
                    yield partition, (prefix, _behind(prefix))


def _partitions(snapshot: Snapshot, conditions: Conditions, id_column: str | None) -> list[PartitionKeys]:
    partition_keys = _partition_keys(conditions, "service_key")
    ids = None if id_column is None else conditions.texts(id_column)
    if partition_keys is None and ids is not None:
        partition_keys = {partition_key_of(known) for known in _parsed(ids)}
    if partition_keys is None:
        return [snapshot.keyspace.partition(number) for number in range(snapshot.partitions)]
    found = {id(keys): keys for keys in (_partition_at(snapshot, each) for each in partition_keys)}
    return list(found.values())


def _partition_keys(conditions: Conditions, key_column: str | None) -> set[int] | None:
    keys = None if key_column is None else conditions.texts(key_column)
    if keys is not None:
        return {partition_key_of_key(key) for key in keys}
    numbers = conditions.numbers("partition_key")
    return None if numbers is None else {number for number in numbers if 0 <= number < 1 << 64}


def _partition_at(snapshot: Snapshot, partition_key: int) -> PartitionKeys:
    return snapshot.keyspace.partition((partition_key * snapshot.partitions) >> 64)


def _parsed(texts: frozenset[str]) -> set[InvocationId]:
    ids: set[InvocationId] = set()
    for text in texts:
        try:
            ids.add(parse_invocation_id(text))
        except InvalidId:
            continue  # no row has it
    return ids


def _behind(prefix: bytes) -> bytes:
    """Return the first key behind all that begin with `prefix`."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,))


def last_parts(key: bytes, count: int) -> tuple[object, ...]:
    """Return the last parts of a key."""
    return unpack(key)[-count:]
