"""What is read from the store into a partition's memory."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from perdure.base.errors import StoreError
from perdure.model.timer import VALUES, Timer, TimerKind
from perdure.store.keyspace import Keyspace
from services.invoker.loading import load_timers
from services.invoker.machine.view import PartitionView
from tests.unit.invoker.builders import an_id

KEYS = Keyspace().partition(0)


class FailingOnce:
    """A store whose first read fails; it holds one timer."""

    def __init__(self, timer: Timer) -> None:
        self._row = (KEYS.timer(timer.at_ms, timer.invocation_id, timer.number), VALUES[timer.kind])
        self._has_failed = False

    async def read(self, fn: Callable[[Any], Any]) -> Any:
        if not self._has_failed:
            self._has_failed = True
            raise StoreError("unreadable")
        return fn(self)

    def get_range(self, begin: bytes, end: bytes, **_: object) -> list[tuple[bytes, bytes]]:
        return [self._row] if begin <= self._row[0] < end else []


def test_timers_that_could_not_be_read_are_read_the_next_time() -> None:
    timer = Timer(1_500, an_id(1), 1, TimerKind.SLEEP)
    view = PartitionView(0, 1, KEYS)
    view.timer_horizon_ms = 1_000
    store: Any = FailingOnce(timer)
    with pytest.raises(StoreError):
        asyncio.run(load_timers(store, view, 2_000))
    asyncio.run(load_timers(store, view, 2_000))
    assert view.due(1_500) == [timer]
