"""Who should own which partition: the same answer in every process that sees the same living invokers.

Rendezvous hashing with a cap per invoker: loads differ by one at most, and few partitions move when the set changes. Where an operator
wants a partition somewhere else, that one goes there and no other moves.
"""

from collections.abc import Mapping, Sequence

import xxhash


def assign(partition_count: int, invokers: Sequence[str], placements: Mapping[int, str]) -> dict[int, str]:
    """Return partition -> invoker; empty where nobody lives. `placements` with an invoker that does not are without effect."""
    if not invokers:
        return {}
    names = sorted(set(invokers))
    share, rest = divmod(partition_count, len(names))
    room = {name: share + (index < rest) for index, name in enumerate(names)}
    assignment: dict[int, str] = {}
    for partition in range(partition_count):
        chosen = max((name for name in names if room[name]), key=lambda name: _weight(name, partition))
        room[chosen] -= 1
        assignment[partition] = chosen
    placed = {partition: name for partition, name in placements.items() if name in room and partition < partition_count}
    return assignment | placed


def holder_of(item: str, invokers: Sequence[str]) -> str:
    """Return which of the living should do something that only one should, by rendezvous hashing; `invokers` is not empty."""
    return max(sorted(invokers), key=lambda name: xxhash.xxh3_64_intdigest(f"{name}/{item}".encode()))


def _weight(name: str, partition: int) -> int:
    return xxhash.xxh3_64_intdigest(f"{name}/{partition}".encode())
