"""Runs a statement over the state of the suite in a process of its own: whatever it does, it ends in time and leaves no memory behind."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec

from perdure.base.limits import MIB
from perdure.codec.rpc.status import CallFailed, Status
from services.nodectl.cluster import ClusterView
from services.nodectl.sql.messages import Answer, Question
from services.nodectl.sql.tables import rows_of

STATEMENT_S_MAX: Final = 10.0
"""restatectl gives up after 13 s."""
RUNNING_MAX: Final = 2
ANSWER_BYTES_MAX: Final = 32 * MIB


class ClusterQueries:
    """Starts a process for each statement; others wait for one of `RUNNING_MAX` places.

    Args:
        settings: Shown by the table `config`.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._places = asyncio.Semaphore(RUNNING_MAX)

    async def run(self, sql: str, view: ClusterView) -> AsyncIterator[bytes]:
        """Yield the pieces of an Arrow IPC stream.

        Raises:
            CallFailed: INTERNAL with the engine's text where the statement is wrong, DEADLINE_EXCEEDED where it takes too long.
        """
        question = msgspec.msgpack.encode(Question(sql, rows_of(view, self._settings)))
        try:
            async with asyncio.timeout(STATEMENT_S_MAX), self._places:
                answer = await _ask(question)
        except TimeoutError:
            raise CallFailed(Status.DEADLINE_EXCEEDED, f"the statement took longer than {STATEMENT_S_MAX:g} s") from None
        if answer.error:
            raise CallFailed(Status.INTERNAL, answer.error)
        for piece in answer.pieces:
            yield piece


async def _ask(question: bytes) -> Answer:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.nodectl.sql.worker", stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(question)
        process.stdin.write_eof()
        told = bytearray()
        while piece := await process.stdout.read(MIB):
            told += piece
            if len(told) > ANSWER_BYTES_MAX:
                raise CallFailed(Status.RESOURCE_EXHAUSTED, f"the result is larger than {ANSWER_BYTES_MAX} bytes")
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not told:
        raise CallFailed(Status.INTERNAL, "the statement ended its process; nodectl's standard error tells more")
    return msgspec.msgpack.decode(told, type=Answer)
