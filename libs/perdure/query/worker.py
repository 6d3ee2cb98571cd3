"""A process that runs one statement after the other for its parent, so that one that must end can be killed.

    python -m perdure.query.worker PARENT_PID

Reads requests on standard input, answers on standard output, and ends with its parent.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from perdure.base.limits import MIB
from perdure.process.parent import die_with_parent
from perdure.process.priority import give_way
from perdure.query.encoding import arrow_bytes, encoded
from perdure.query.engine import Engine
from perdure.query.errors import INTERNAL, QueryError
from perdure.query.table import LiveById
from perdure.query.wire import (
    LENGTH,
    Answer,
    AskLive,
    Describe,
    Done,
    Failed,
    Open,
    Part,
    Request,
    Run,
    Told,
    decode_request,
    frame,
    of_wire,
)
from perdure.store.keyspace import Keyspace
from perdure.store.opening import open_store

_NICENESS: Final = 15
"""Statements give way to the processes that carry calls."""
_FDB_SNAPSHOT_S_MAX: Final = 3.0
"""FoundationDB keeps a snapshot for five seconds: a longer read goes on with a later one."""
_SPENT_BYTES: Final = 320 * MIB
"""A worker that has ever been as large gives memory back only by ending."""


class _Pipe:
    """The parent at the other end."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._requests = requests
        self._answers = answers

    async def receive(self) -> Request | None:
        """Wait for a request; None once the parent wants no more."""
        return await asyncio.to_thread(self._read)

    async def send(self, answer: Answer) -> None:
        """Send an answer; waits where the parent takes them slowly."""
        await asyncio.to_thread(self._write, frame(answer))

    async def ask_live(self) -> LiveById:
        """Ask the parent what invokers are doing."""
        await self.send(AskLive())
        told = await self.receive()
        assert isinstance(told, Told)
        return {each.invocation_id: each for each in told.invocations}

    def _read(self) -> Request | None:
        head = self._requests.read(LENGTH.size)
        return decode_request(self._requests.read(*LENGTH.unpack(head))) if len(head) == LENGTH.size else None

    def _write(self, data: bytes) -> None:
        self._answers.write(data)
        self._answers.flush()


async def _work(pipe: _Pipe) -> None:
    opening = await pipe.receive()
    assert isinstance(opening, Open)
    store = open_store(path=opening.path, fdb_cluster_file=opening.fdb_cluster_file, root=opening.root, fdb=opening.fdb)
    engine = Engine(
        store,
        Keyspace(opening.root),
        ask_live=pipe.ask_live,
        memory_bytes_max=opening.memory_bytes_max,
        snapshot_s_max=_FDB_SNAPSHOT_S_MAX if opening.fdb_cluster_file else None,
    )
    while (request := await pipe.receive()) is not None:
        try:
            await _answer(pipe, engine, request)
        except QueryError as error:
            await pipe.send(Failed(error.sqlstate, error.message, error.engine_text))
        except Exception as error:  # the parent's log tells more than this process can
            await pipe.send(Failed(INTERNAL, "internal error", repr(error)))
        else:
            await pipe.send(Done(is_spent=_largest_size_bytes() > _SPENT_BYTES))
    await store.close()


def _largest_size_bytes() -> int:
    """Return how much memory this process has ever had resident; `getrusage` would count the process that started it as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1_024


async def _answer(pipe: _Pipe, engine: Engine, request: Request) -> None:
    match request:
        case Describe(sql, parameters, dialect):
            schema = await engine.describe(sql, None if parameters is None else of_wire(parameters), dialect)
            await pipe.send(Part(arrow_bytes(schema)))
        case Run(sql, parameters, form, dialect):
            async for part in encoded(await engine.run(sql, of_wire(parameters), dialect), form):
                await pipe.send(Part(part))
        case _:
            raise AssertionError(f"out of order: {type(request).__name__}")


def main(argv: Sequence[str]) -> int:
    """Work until the parent closes the pipe."""
    die_with_parent(int(argv[0]))
    give_way(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    asyncio.run(_work(_Pipe(sys.stdin.buffer, answers)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
