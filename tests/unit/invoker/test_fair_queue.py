"""Who waits for whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.invoker.fair_queue import FairQueue


def test_keys_take_turns_whatever_their_backlog() -> None:
    queue: FairQueue[str, str] = FairQueue()
    for number in range(3):
        queue.push("long", f"l{number}")
    queue.push("short", "s0")
    assert [queue.pop() for _ in range(4)] == ["l0", "s0", "l1", "l2"]


def test_an_empty_queue_has_nothing_to_take() -> None:
    queue: FairQueue[str, str] = FairQueue()
    with pytest.raises(IndexError):
        queue.pop()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers())))
def test_everything_comes_out_once_in_the_order_of_its_key(items: list[tuple[int, int]]) -> None:
    queue: FairQueue[int, tuple[int, int]] = FairQueue()
    for key, value in items:
        queue.push(key, (key, value))
    assert len(queue) == len(items)
    taken = [queue.pop() for _ in items]
    assert len(queue) == 0
    assert {key: [one for one in taken if one[0] == key] for key in range(4)} == {
        key: [one for one in items if one[0] == key] for key in range(4)
    }
