"""Deployments that misbehave by seed, behind the interface by which attempts reach real ones.

Bytes travel in random pieces with random delays; an exchange may be refused, cut at any byte, reset, answered late, twice, with
nonsense, with an error, or not at all. Faults are data: `SimDeployments.faults`, replaced at any time.
"""

import asyncio
import contextvars
import random
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from perdure.base.clock import Clock
from perdure.deployments.interface import ExchangeFailure, FailureKind, HeaderList, Receiver
from perdure.model.deployment import Deployment
from perdure.sim import wire
from perdure.sim.context import Handler
from perdure.sim.endpoint import EndpointAttempt, Observer
from perdure.sim.loop import VirtualProcess
from perdure.sim.steps import StepLog

_STATUSES: Final = (404, 413, 415, 429, 500, 502, 503, 504)


class DeploymentFaults(msgspec.Struct, frozen=True):
    """How badly deployments behave; the probabilities are per exchange and exclude each other."""

    delay_s_min: float = 0.0002
    delay_s_max: float = 0.003
    connect_probability: float = 0.0
    status_probability: float = 0.0
    content_type_probability: float = 0.0
    cut_probability: float = 0.0
    reset_probability: float = 0.0
    goaway_probability: float = 0.0
    error_probability: float = 0.0
    nonsense_probability: float = 0.0
    double_probability: float = 0.0
    late_probability: float = 0.0
    hang_probability: float = 0.0
    late_s_max: float = 20.0
    fault_bytes_max: int = 200
    """A cut or reset happens within so many response bytes."""

    def draw(self, source: random.Random) -> str:
        """Return the name of the fault of one exchange, or an empty string."""
        point = source.random()
        for name in _FAULTS:
            point -= getattr(self, f"{name}_probability")
            if point < 0:
                return name
        return ""


_FAULTS: Final = ("connect", "status", "content_type", "cut", "reset", "goaway", "error", "nonsense", "double", "late", "hang")


class SimDeployments:
    """All deployments of a simulation: their handlers, faults and the log of their steps.

    Args:
        handlers: `service/handler` -> coroutine function, the same at every deployment.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seed: int,
        clock: Clock,
        handlers: Mapping[str, Handler],
        faults: DeploymentFaults | None = None,
    ) -> None:
        self.loop = loop
        self.clock = clock
        self.handlers = handlers
        self.faults = faults if faults is not None else DeploymentFaults()
        self.random = random.Random(f"{seed}/deployments")  # noqa: S311 - meant to be predictable
        self.steps = StepLog()
        self.mismatches: list[str] = []
        self.exchanges = 0
        self.fault_counts: dict[str, int] = {}
        self.observer = Observer()
        self.process = VirtualProcess("deployments")

    def client(self, process: VirtualProcess) -> "SimDeploymentClient":
        """Return the client of one process."""
        return SimDeploymentClient(self, process)


class SimDeploymentClient:
    """Opens exchanges with the simulated deployments on behalf of one process."""

    def __init__(self, deployments: SimDeployments, process: VirtualProcess) -> None:
        self.deployments = deployments
        self.process = process
        self._open: dict[int, SimExchange] = {}

    def open(self, deployment: Deployment, method: str, path: str, headers: HeaderList, receiver: Receiver) -> "SimExchange":
        assert method == "POST", method
        assert path.startswith("/invoke/"), path
        assert deployment.url
        number = self.deployments.exchanges = self.deployments.exchanges + 1
        exchange = SimExchange(self, path.removeprefix("/invoke/"), dict(headers), receiver, lambda: self._open.pop(number, None))
        self._open[number] = exchange
        if self.process.is_alive:  # a timer of a dead one may still fire
            exchange.connect()
        return exchange

    def disconnect(self) -> None:
        """Cut all connections, as when the process dies; the deployments notice some time later."""
        for exchange in list(self._open.values()):
            exchange.abort()

    async def close(self) -> None:
        self.disconnect()


class _Pipe:
    """One direction of a stream: keeps order, delays each piece."""

    def __init__(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> None:
        self._loop = loop
        self._context = context
        self._busy_until = 0.0

    def put(self, delay_s: float, callback: Callable[[], None]) -> None:
        at = max(self._loop.time() + delay_s, self._busy_until)
        self._busy_until = at + 1e-6
        self._loop.call_at(at, callback, context=self._context)


class SimExchange:
    """One request and its response."""

    def __init__(
        self, client: SimDeploymentClient, target: str, headers: dict[str, str], receiver: Receiver, on_closed: Callable[[], object]
    ) -> None:
        self._deployments = client.deployments
        self._client = client
        self._target = target
        self._headers = headers
        self._receiver = receiver
        self._on_closed = on_closed
        self._random = self._deployments.random
        self._fault = self._deployments.faults.draw(self._random)
        self._to_endpoint = _Pipe(self._deployments.loop, contextvars.Context())
        self._to_client = _Pipe(self._deployments.loop, contextvars.copy_context())
        self._bytes_left = self._random.randrange(self._deployments.faults.fault_bytes_max)
        self._frames_left = self._random.randrange(6)
        self._is_over = False
        self._is_paused = False
        self._held: list[Callable[[], None]] = []
        self._sent_frames: list[bytes] = []
        self._has_responded = False
        self._attempt: EndpointAttempt | None = None

    def connect(self) -> None:
        """Decide what becomes of the exchange, and start the handler's attempt where it gets through."""
        counts = self._deployments.fault_counts
        counts[self._fault] = counts.get(self._fault, 0) + 1
        if self._fault == "connect":
            self._fail(FailureKind.CONNECT, "connection refused")
        elif self._fault == "goaway":
            self._fail(FailureKind.GOAWAY, "the connection is draining")
        elif self._fault == "status":
            self._respond(self._random.choice(_STATUSES))
            self._later(self._end)
        elif self._fault == "content_type":
            self._respond(200, "text/html")
            self._later(lambda: self._receiver.on_data(b"<html>"))
            self._later(self._end)
        elif self._target not in self._deployments.handlers:
            self._respond(404)
            self._later(self._end)
        else:
            self._start_attempt()

    def _start_attempt(self) -> None:
        self._attempt = EndpointAttempt(
            self._target,
            self._deployments.handlers[self._target],
            process=self._deployments.process,
            clock=self._deployments.clock,
            steps=self._deployments.steps,
            send=self._send_frame,
            finish=self._finish,
            observer=self._deployments.observer,
            version=int(self._headers["content-type"].rpartition(".v")[2]),
            fails_at_command=1 + self._random.randrange(4) if self._fault == "error" else 0,
        )

    def send(self, data: bytes) -> None:
        attempt = self._attempt
        if attempt is not None and data and not self._is_over:
            self._to_endpoint.put(self._delay(), lambda: attempt.receive(data))

    def end(self) -> None:
        attempt = self._attempt
        if attempt is not None and not self._is_over:
            self._to_endpoint.put(self._delay(), attempt.close_input)

    def abort(self) -> None:
        self._close()

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        held, self._held = self._held, []
        for callback in held:
            callback()

    def _send_frame(self, data: bytes) -> None:
        if self._is_over or self._fault == "hang":
            return
        if not self._has_responded:
            self._respond(200)
        if self._fault == "nonsense":
            if self._frames_left == 0:
                data = self._random.choice(wire.nonsense_frames()) + data
            self._frames_left -= 1
        self._sent_frames.append(data)
        if self._fault in {"cut", "reset"}:
            self._send_until_cut(data)
        else:
            self._send_in_pieces(data)

    def _send_until_cut(self, data: bytes) -> None:
        if self._bytes_left < 0:
            return
        self._send_in_pieces(data[: self._bytes_left])
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            if self._fault == "cut":
                self._later(self._end)
            else:
                self._fail(FailureKind.RESET, "stream reset by the peer")

    def _send_in_pieces(self, data: bytes) -> None:
        if len(data) > 1 and self._random.random() < 0.2:
            middle = self._random.randrange(1, len(data))
            pieces = [data[:middle], data[middle:]]
        else:
            pieces = [data] if data else []
        for piece in pieces:
            self._later(lambda piece=piece: self._receiver.on_data(piece))

    def _respond(self, status: int, content_type: str | None = None) -> None:
        self._has_responded = True
        headers: HeaderList = [("x-restate-server", "perdure-sim/1")]
        headers.append(("content-type", content_type or self._headers.get("content-type", "")))
        if self._fault == "late":
            self._to_client.put(self._random.uniform(0.0, self._deployments.faults.late_s_max), lambda: None)
        self._later(lambda: self._receiver.on_response(status, headers))

    def _finish(self) -> None:
        attempt = self._attempt
        if attempt is not None and attempt.mismatch:
            self._deployments.mismatches.append(attempt.mismatch)
        if self._is_over or self._fault == "hang":
            return
        if self._fault == "double":
            for data in self._sent_frames[-2:]:
                self._send_in_pieces(data)
        if self._fault not in {"cut", "reset"} or self._bytes_left >= 0:
            self._later(self._end)

    def _end(self) -> None:
        self._close()
        self._receiver.on_end()

    def _fail(self, kind: FailureKind, message: str) -> None:
        def fail() -> None:
            self._close()
            self._receiver.on_failure(ExchangeFailure(kind, message))

        self._later(fail)

    def _close(self) -> None:
        """End both directions; a handler that still runs notices after a while, like one behind a dead connection."""
        if self._is_over:
            return
        self._is_over = True
        self._on_closed()
        if self._attempt is not None:
            notice_s = self._random.choice((0.001, 0.05, 2.0))
            self._deployments.loop.call_later(notice_s, self._attempt.give_up, context=contextvars.Context())

    def _later(self, callback: Callable[[], None]) -> None:
        self._to_client.put(self._delay(), lambda: self._arrive(callback))

    def _arrive(self, callback: Callable[[], None]) -> None:
        if self._is_over or not self._client.process.is_alive:
            return
        if self._is_paused:
            self._held.append(lambda: self._arrive(callback))
            return
        callback()

    def _delay(self) -> float:
        faults = self._deployments.faults
        return self._random.uniform(faults.delay_s_min, faults.delay_s_max)
