"""Work handed from the event loop to a thread, and its outcome handed back."""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

A = TypeVar("A")


class Job(Generic[A]):
    """One call of `fn` and the future of its result. What it costs beside `fn` is one `call_soon_threadsafe`."""

    __slots__ = ("_loop", "fn", "future")

    def __init__(self, fn: Callable[[A], object]) -> None:
        self.fn = fn
        self._loop = asyncio.get_running_loop()
        # Any: jobs with results of all types stand in one queue.
        self.future: asyncio.Future[Any] = self._loop.create_future()

    def run(self, execute: Callable[[Callable[[A], object]], object]) -> None:
        """Call `execute(fn)` and send what it returns or raises to the event loop."""
        try:
            value = execute(self.fn)
        except BaseException as error:
            self.send(self.fail, error)
        else:
            self.send(self.succeed, value)

    def send(self, callback: Callable[..., None], *arguments: object) -> None:
        """Call `callback` on the event loop of the caller; from a thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)

    def succeed(self, value: object) -> None:
        """Give the caller his result; on the event loop."""
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Give the caller an error; on the event loop."""
        if not self.future.done():
            self.future.set_exception(error)


class Worker(Generic[A]):
    """A thread that takes jobs from a queue, which several workers may share, until it finds None there."""

    def __init__(self, name: str, jobs: "SimpleQueue[Job[A] | None]", execute: Callable[[Callable[[A], object]], object]) -> None:
        self._jobs = jobs
        self._execute = execute
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run(self._execute)

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end of the thread, or until the time is up."""
        self._thread.join(timeout_s)
