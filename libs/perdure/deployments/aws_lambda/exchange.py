"""One exchange with a function: the request is gathered, the function called, the answer given out as if it had come over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from structlog.typing import FilteringBoundLogger

from perdure.codec.aws_lambda.events import FunctionAnswer
from perdure.deployments.interface import ExchangeFailure, FailureKind, Receiver

Call = Callable[[bytes], Awaitable[FunctionAnswer | ExchangeFailure]]

log: FilteringBoundLogger = structlog.get_logger("perdure.deployments")


class LambdaExchange:
    """Implements `interface.Exchange`.

    Args:
        call: Calls the function with the whole request body.
        on_closed: Told once nothing follows any more.
    """

    def __init__(self, receiver: Receiver, call: Call, on_closed: Callable[["LambdaExchange"], None]) -> None:
        self._receiver = receiver
        self._call = call
        self._on_closed = on_closed
        self._body: list[bytes] = []
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._may_read = asyncio.Event()
        self._may_read.set()

    def send(self, data: bytes) -> None:
        if not self._is_closed and self._task is None:
            self._body.append(data)

    def end(self) -> None:
        if not self._is_closed and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def abort(self) -> None:
        if self._close() and self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def pause_reading(self) -> None:
        self._may_read.clear()

    def resume_reading(self) -> None:
        self._may_read.set()

    async def cut(self) -> None:
        """Fail because the client closes, and wait for the end of what runs."""
        self._fail(ExchangeFailure(FailureKind.RESET, "the client closed while the function was called"))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            outcome = await self._call(b"".join(self._body))
            if isinstance(outcome, ExchangeFailure):
                self._fail(outcome)
            else:
                await self._give(outcome)
        except Exception as error:
            log.exception("lambda_call_failed")
            self._fail(ExchangeFailure(FailureKind.FUNCTION, f"the function cannot be called: {error!r}"))

    async def _give(self, answer: FunctionAnswer) -> None:
        if self._is_closed:
            return
        self._receiver.on_response(answer.status, answer.headers)
        await self._may_read.wait()
        if answer.body and not self._is_closed:
            self._receiver.on_data(answer.body)
        await self._may_read.wait()
        if self._close():
            self._receiver.on_end()

    def _fail(self, failure: ExchangeFailure) -> None:
        if self._close():
            self._receiver.on_failure(failure)

    def _close(self) -> bool:
        """Return whether this call closed the exchange."""
        if self._is_closed:
            return False
        self._is_closed = True
        self._on_closed(self)
        return True
