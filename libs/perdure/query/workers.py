"""The worker processes of one process: started when needed, kept for a while, killed where a statement must end.

Statements run elsewhere so that none of them, whatever it does, holds up or outgrows the process that serves clients: an engine that is in
the middle of a join cannot be stopped in any other way.
"""

import asyncio
import os
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from perdure.base.limits import MIB
from perdure.process.config import CommonConfig, fdb_options
from perdure.query.engine import AS_ENGINE
from perdure.query.errors import INTERNAL, OUT_OF_MEMORY, QueryError
from perdure.query.table import LiveById
from perdure.query.wire import (
    LENGTH,
    AskLive,
    Describe,
    Dialect,
    Done,
    Failed,
    Form,
    Open,
    Parameter,
    Part,
    Request,
    Run,
    Told,
    decode_answer,
    frame,
    to_wire,
)

RUNNING_MAX: Final = 4
"""Statements at a time; others wait."""
IDLE_S_MAX: Final = 60.0
"""How long a worker is kept that has nothing to do: starting one takes half a second of a processor."""
READ_AHEAD_BYTES_MAX: Final = 4 * MIB
"""What is taken from a worker before anybody wants it: a short result frees its worker however slow the client is."""

_CHECK_S: Final = 0.25
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_WORKER_BYTES: Final = 256 * MIB
"""What a worker may take for itself."""
_HOLDINGS: Final = 3
"""A statement may hold tables, what it makes of them, and its result, each up to its limit."""

AskInvokers = Callable[[], Awaitable[LiveById]]
_log = structlog.get_logger()


class Worker:
    """One worker process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._requests = process.stdin
        self._answers = process.stdout
        self.retirement: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    def resident_bytes(self) -> int:
        """Return how much memory it takes now; 0 where the system does not tell."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES
        except OSError:
            return 0

    def send(self, request: Request) -> None:
        """Send a request; those are small."""
        self._requests.write(frame(request))

    async def receive(self) -> AskLive | Part | Done | Failed:
        """Wait for the next answer.

        Raises:
            asyncio.IncompleteReadError: The worker has ended.
        """
        head = await self._answers.readexactly(LENGTH.size)
        return decode_answer(await self._answers.readexactly(*LENGTH.unpack(head)))

    async def end(self) -> None:
        """Kill it, whatever it does, and wait until it is gone."""
        if self.is_alive:
            self._process.kill()
        await self._process.wait()


class Answers:
    """The parts of what one statement returns, as an asynchronous iterator.

    Must be read to its end, or closed; a reader that is cancelled closes it.
    """

    def __init__(
        self,
        worker: Worker,
        request: Request,
        *,
        ask_live: AskInvokers,
        release: Callable[[Worker, bool], None],
        resident_bytes_max: int,
    ) -> None:
        self._worker = worker
        self._resident_bytes_max = resident_bytes_max
        self._ask_live = ask_live
        self._release = release
        self._parts: deque[bytes] = deque()
        self._size_bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._error: QueryError | None = None
        self._has_ended = False
        self._reading = asyncio.ensure_future(self._read(request))
        self._reading.add_done_callback(self._finish)
        self._checking = asyncio.get_running_loop().call_later(_CHECK_S, self._check)

    def __aiter__(self) -> "Answers":
        return self

    async def __anext__(self) -> bytes:
        try:
            while not self._parts and not self._has_ended:
                self._news.clear()
                await self._news.wait()
        except asyncio.CancelledError:
            self.close()
            raise
        if self._parts:
            part = self._parts.popleft()
            self._size_bytes -= len(part)
            self._room.set()
            return part
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    def close(self, error: QueryError | None = None) -> None:
        """Want no more; a statement that still runs is ended, and a reader gets `error`."""
        if not self._reading.done():
            self._error = error
            self._parts.clear()
            self._reading.cancel()

    def _check(self) -> None:
        """End a statement whose worker has grown too large: the engine does not count all that it holds."""
        if self._worker.resident_bytes() > self._resident_bytes_max:
            self.close(QueryError(OUT_OF_MEMORY, f"the statement took more than {self._resident_bytes_max} bytes of memory"))
        else:
            self._checking = asyncio.get_running_loop().call_later(_CHECK_S, self._check)

    def _finish(self, reading: asyncio.Task[bool]) -> None:
        self._checking.cancel()
        is_reusable = False
        if not reading.cancelled():
            if reading.exception() is None:
                is_reusable = reading.result()
            else:
                self._error = QueryError(INTERNAL, "the process that ran the statement has ended; it may have used too much memory")
                _log.warning("query_worker_ended", worker=self._worker.pid, reason=repr(reading.exception()))
        self._has_ended = True
        self._news.set()
        self._release(self._worker, is_reusable)

    async def _read(self, request: Request) -> bool:
        """Read until there is no more; return whether the worker can be used again."""
        self._worker.send(request)
        while True:
            match await self._worker.receive():
                case Part(data):
                    self._parts.append(data)
                    self._size_bytes += len(data)
                    self._news.set()
                    while self._size_bytes > READ_AHEAD_BYTES_MAX:
                        self._room.clear()
                        await self._room.wait()
                case AskLive():
                    self._worker.send(Told(list((await self._ask_live()).values())))
                case Failed(sqlstate, message, engine_text):
                    if sqlstate == INTERNAL:
                        _log.error("statement_failed", reason=message, engine=engine_text)
                    self._error = QueryError(sqlstate, message, engine_text)
                    return True
                case Done(is_spent):
                    return not is_spent


def opening_of(config: CommonConfig, *, memory_bytes_max: int) -> Open:
    """Return what a worker is told first: the store that this process has open."""
    path = None if config.fdb_cluster_file else str(Path(config.base_dir) / "perdure.db")
    fdb = fdb_options(config, tag="query", is_background=True)
    return Open(path, config.fdb_cluster_file or None, config.root, memory_bytes_max, fdb)


class QueryWorkers:
    """Runs statements in worker processes.

    Args:
        opening: What each worker is told first.
        ask_live: Asks the invokers what they know of invocations that are running.
    """

    def __init__(self, opening: Open, *, ask_live: AskInvokers) -> None:
        self._opening = opening
        self._ask_live = ask_live
        self._slots = asyncio.Semaphore(RUNNING_MAX)
        self._idle: list[Worker] = []
        self._workers: dict[int, Worker] = {}
        """pid -> worker, until it is gone"""
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def run(self, sql: str, parameters: Sequence[Parameter], form: Form, dialect: Dialect = AS_ENGINE) -> Answers:
        """Start a statement as soon as there is room for it. Reading the answers raises QueryError for what is wrong with it."""
        return await self._ask(Run(sql, to_wire(parameters), form, dialect))

    async def describe(self, sql: str, parameters: Sequence[Parameter] | None, dialect: Dialect = AS_ENGINE) -> bytes:
        """Return the schema of what a statement returns, as a message of an Arrow stream.

        Raises:
            QueryError: The statement is wrong.
        """
        answers = await self._ask(Describe(sql, None if parameters is None else to_wire(parameters), dialect))
        return b"".join([part async for part in answers])

    async def close(self) -> None:
        """End all workers."""
        self._is_closed = True
        for worker in list(self._workers.values()):
            self._end(worker)
        await asyncio.gather(*self._ending)

    async def _ask(self, request: Request) -> Answers:
        await self._slots.acquire()
        try:
            worker = self._take_idle() or await self._start()
        except BaseException:
            self._slots.release()
            raise
        if worker.retirement is not None:
            worker.retirement.cancel()
        size_max = _WORKER_BYTES + _HOLDINGS * self._opening.memory_bytes_max
        return Answers(worker, request, ask_live=self._ask_live, release=self._release, resident_bytes_max=size_max)

    def _take_idle(self) -> Worker | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            self._end(worker)
        return None

    async def _start(self) -> Worker:
        command = (sys.executable, "-m", "perdure.query.worker", str(os.getpid()))
        pipe = asyncio.subprocess.PIPE
        worker = Worker(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))
        self._workers[worker.pid] = worker
        worker.send(self._opening)
        return worker

    def _release(self, worker: Worker, is_reusable: bool) -> None:
        self._slots.release()
        if not is_reusable or self._is_closed:
            self._end(worker)
            return
        self._idle.append(worker)
        worker.retirement = asyncio.get_running_loop().call_later(IDLE_S_MAX, self._retire, worker)

    def _retire(self, worker: Worker) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
            self._end(worker)

    def _end(self, worker: Worker) -> None:
        if worker.retirement is not None:
            worker.retirement.cancel()
        task = asyncio.ensure_future(self._ended(worker))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _ended(self, worker: Worker) -> None:
        await worker.end()
        self._workers.pop(worker.pid, None)
