"""An asyncio event loop on virtual time: when nothing is ready, time jumps to the next timer.

The order of callbacks depends on nothing but the program, so a seed replays exactly. Sockets, threads and signals are refused.
"""

import asyncio
import contextlib
import contextvars
import random
from collections.abc import Coroutine, Generator
from typing import Any, Final, TypeVar

T = TypeVar("T")

EPOCH_MS: Final = 1_700_000_000_000
"""Wall clock at the loop's time 0."""


class StalledError(Exception):
    """Nothing is ready and no timer is set: whatever the program waits for can never happen."""


class TaskList:
    """Tasks that have not ended, in the order of their start (asyncio's own sets are ordered by address)."""

    def __init__(self) -> None:
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._started = 0

    def add(self, task: "asyncio.Task[Any]") -> None:
        """Remember a task until it ends."""
        number = self._started
        self._started += 1
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    def cancel(self) -> list["asyncio.Task[Any]"]:
        """Cancel all, oldest first, and return them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        return tasks


class VirtualProcess:
    """A process of the simulation: the tasks that were started within it, so that they can be ended at once.

    A killed process runs no more of its tasks' code than their `finally` blocks; what is handed to it for I/O must refuse a dead owner.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.tasks = TaskList()

    def kill(self) -> None:
        """End all tasks, oldest first."""
        self.is_alive = False
        self.tasks.cancel()


_process: contextvars.ContextVar[VirtualProcess | None] = contextvars.ContextVar("process", default=None)


def current_process() -> VirtualProcess | None:
    """Return the process that the running code belongs to."""
    return _process.get()


@contextlib.contextmanager
def within(process: VirtualProcess) -> Generator[None, None, None]:
    """Start what the block starts (tasks, timers) inside `process`."""
    token = _process.set(process)
    try:
        yield
    finally:
        _process.reset(token)


class _Selector:
    """Stands where a selector of sockets would: waiting is moving the clock."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            self._loop.on_stalled()
        elif timeout > 0:
            self._loop.advance(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs coroutines on virtual time.

    Args:
        duration_max_s: Virtual seconds after which the run is ended with `TimeoutError`, so that a livelock ends.
        turns_max: Turns of the loop after which the run is ended with `TimeoutError`, so that a busy loop ends.
    """

    def __init__(self, *, duration_max_s: float = 24 * 3600.0, turns_max: int = 2_000_000) -> None:
        super().__init__()
        self._selector = _Selector(self)
        self._now_s = 0.0
        self._duration_max_s = duration_max_s
        self._turns_max = turns_max
        self._turns = 0
        self._tasks = TaskList()
        self._main: asyncio.Task[Any] | None = None
        self._over: Exception | None = None
        self.problems: list[str] = []
        """What the loop's exception handler was told, for processes that are alive."""
        self.set_exception_handler(self._note_problem)

    def time(self) -> float:
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._now_s += seconds
        if self._now_s > self._duration_max_s:
            self._end(TimeoutError(f"not done after {self._duration_max_s} virtual seconds"))

    def on_stalled(self) -> None:
        """End the run: nothing can happen any more."""
        self._end(StalledError("nothing is ready and no timer is set"))

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end, then cancel and collect what is left, and close the loop.

        Raises:
            StalledError: Nothing could ever wake `main`.
            TimeoutError: A limit of the constructor was reached.
        """
        asyncio.set_event_loop(self)
        try:
            self._main = self.create_task(main)
            try:
                return self.run_until_complete(self._main)
            except asyncio.CancelledError:
                if self._over is not None:
                    raise self._over from None
                raise
        finally:
            self._close_down()

    def _close_down(self) -> None:
        self._over = None
        self._duration_max_s = float("inf")
        self._turns_max += self._turns
        left = self._tasks.cancel()
        if left:
            self.run_until_complete(asyncio.wait(left, timeout=60.0))
        self.run_until_complete(self.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        self.close()

    def _end(self, why: Exception) -> None:
        if self._over is not None:
            raise self._over
        self._over = why
        assert self._main is not None
        self._main.cancel()

    def create_task(
        self, coro: Coroutine[Any, Any, T] | Generator[Any, None, T], *, name: object = None, context: contextvars.Context | None = None
    ) -> "asyncio.Task[T]":
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, name=None if name is None else str(name), context=context)
        self._tasks.add(task)
        process = _process.get() if context is None else context.get(_process)
        if process is not None:
            process.tasks.add(task)
            if not process.is_alive:
                task.cancel()
        return task

    def _note_problem(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        process = _process.get()
        if process is None or process.is_alive:
            self.problems.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _run_once(self) -> None:
        self._turns += 1
        if self._turns > self._turns_max:
            self._end(TimeoutError(f"not done after {self._turns_max} turns"))
            self._turns_max += 10_000
        super()._run_once()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]

    def _process_events(self, event_list: list[object]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        """Called by `call_soon_threadsafe`; there is no other thread to wake."""

    def run_in_executor(self, executor: object, func: object, *args: object) -> Any:
        """Refuse: a thread has no place in virtual time."""
        raise NotImplementedError(f"no threads on virtual time: {func!r}")


class SimClock:
    """A process's wall clock: virtual time, plus an offset that faults move."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, offset_ms: int = 0) -> None:
        self._loop = loop
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        return EPOCH_MS + self.offset_ms + round(self._loop.time() * 1000)


class SimRandom:
    """Random bytes that a seed decides; `stream` tells users of one seed apart."""

    def __init__(self, seed: int, stream: str) -> None:
        self._random = random.Random(f"{seed}/{stream}")  # noqa: S311 - meant to be predictable

    def bytes(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def fraction(self) -> float:
        return self._random.random()
