"""How `perdure status` writes partitions."""

from perdure.cli.node import _partition_rows
from perdure.model.suite_status import PartitionStatus


def partition(number: int, owner: str = "invoker-a", lag_ms: int | None = 0, moved_to: str = "") -> PartitionStatus:
    return PartitionStatus(partition=number, owner=owner, epoch=1, lag_ms=lag_ms, moved_to=moved_to)


def rows(*partitions: PartitionStatus) -> list[tuple[object, ...]]:
    return [tuple(row) for row in _partition_rows(partitions)]


def test_partitions_of_one_owner_are_one_row_with_the_longest_lag() -> None:
    found = rows(partition(0), partition(1, lag_ms=7), partition(2), partition(4), partition(6), partition(7))
    assert found == [("0-2,4,6-7", "invoker-a", 1, "7 ms", "-")]


def test_what_differs_has_a_row_of_its_own() -> None:
    found = rows(partition(0), partition(1, owner="", lag_ms=None), partition(2, moved_to="invoker-a"), partition(3))
    assert found == [("0,3", "invoker-a", 1, "0 ms", "-"), ("1", "-", 1, "?", "-"), ("2", "invoker-a", 1, "0 ms", "invoker-a")]
