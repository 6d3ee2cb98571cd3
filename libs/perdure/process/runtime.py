"""What every process does besides its own work: connect, say that it lives, answer for its metrics, stop in order.

`run` is the whole life of a process; its `Runtime` is handed to the service's `serve`.
"""

import asyncio
import gc
import os
import secrets
import signal
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Generic, TypeVar, cast

import msgspec
import structlog
import uvloop
from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from perdure.base.clock import Clock, Random, SystemClock, SystemRandom, until_beat_s
from perdure.base.errors import ConfigurationError, PerdureError
from perdure.base.version import SOFTWARE_VERSION
from perdure.bus.interface import Bus
from perdure.bus.messages import VERSION, Drain, Heartbeat, LogLevelSet, SetLogLevel, decoder_of, encode
from perdure.bus.nats import NatsBus, connect
from perdure.bus.subjects import Subjects
from perdure.process import logging, metrics_port, notify, parent
from perdure.process.config import CommonConfig, fdb_options, masked_changes
from perdure.process.metrics import ProcessMetrics, count_bus, count_store
from perdure.process.peers import HEARTBEAT_INTERVAL_MS, Peers
from perdure.store.interface import Store

C = TypeVar("C", bound=CommonConfig)
T = TypeVar("T")

CLOSING_S_MAX: Final = 1.0
"""How long connections may take to close when all work is done."""


STARTING: Final = "starting"
GC_THRESHOLDS: Final = (50_000, 20, 100)
"""Calls leave few cycles behind: the default of 700 objects looks far too often."""

_LOG_LEVELS: Final = decoder_of(SetLogLevel)
_DRAINS: Final = decoder_of(Drain)


class HeartbeatFacts(msgspec.Struct, frozen=True):
    """What a service adds to its heartbeats."""

    partitions: list[int] = []
    counters: dict[str, float] = {}
    address: str = ""
    """Where its public port listens, `host:port`."""
    subscription_failures: dict[str, str] = {}
    scheme: str = ""
    """`http` or `https`, where the public port speaks that."""


class Runtime(Generic[C]):
    """What a service works with. Everything with I/O is handed in here, so that the simulation can hand in others."""

    def __init__(self, *, role: str, process_id: str, config: C, clock: Clock, random: Random, bus: Bus, store: Store) -> None:
        self.role = role
        self.process_id = process_id
        self.config = config
        self.clock = clock
        self.random = random
        self.log: FilteringBoundLogger = structlog.get_logger(f"perdure.{role}")
        self.bus = bus
        self.store = store
        self.subjects = Subjects(config.root)
        self.process_metrics = ProcessMetrics(role, process_id)
        self.metrics: CollectorRegistry = self.process_metrics.registry
        self.stopping = asyncio.Event()
        self.draining = asyncio.Event()
        """Set some time before `stopping`: the process takes on no more, and gives away what it has."""
        self.peers = Peers(clock)
        self.heartbeat_source: Callable[[], HeartbeatFacts] = HeartbeatFacts
        self.started_at_ms = clock.now_ms()
        self._is_ready = False
        self._not_ready_because = STARTING
        self._last_heartbeat = b""
        self._beat_at_s = 0.0

    @property
    def is_ready(self) -> bool:
        return self._is_ready

    def set_ready(self, is_ready: bool, because: str = "") -> None:
        """Say whether this process does its work, and if not, why; the others hear it at once. One that drains is not ready."""
        if not self.draining.is_set():
            self._tell_ready(is_ready, because)

    def drain(self, because: str = "draining") -> None:
        """Begin to give away what this process has, for it is about to stop. There is no way back but a start."""
        self.draining.set()
        self._tell_ready(False, because)

    def _tell_ready(self, is_ready: bool, because: str) -> None:
        if (self._is_ready, self._not_ready_because) == (is_ready, because):
            return
        if is_ready and self._not_ready_because == STARTING:
            _freeze_what_start_up_made()
        self._is_ready = is_ready
        self._not_ready_because = because
        self.log.info("ready" if is_ready else "not_ready", **({"because": because} if because else {}))
        self.send_heartbeat()
        if is_ready:
            facts = self.heartbeat_source()
            notify.notify_ready(f"{facts.scheme}://{facts.address}" if facts.scheme else facts.address)

    def send_heartbeat(self, *, is_leaving: bool = False) -> None:
        """Tell all processes the present facts, now."""
        facts = self.heartbeat_source()
        heartbeat = Heartbeat(
            version=VERSION,
            role=self.role,
            process_id=self.process_id,
            address=facts.address,
            software_version=SOFTWARE_VERSION,
            started_at_ms=self.started_at_ms,
            partitions=facts.partitions,
            is_ready=self._is_ready,
            is_leaving=is_leaving,
            counters=facts.counters,
            not_ready_because=self._not_ready_because,
            subscription_failures=facts.subscription_failures,
            is_draining=self.draining.is_set(),
            scheme=facts.scheme,
        )
        self._last_heartbeat = encode(heartbeat)
        self._beat_at_s = time.monotonic()
        self.bus.publish(self.subjects.heartbeats, self._last_heartbeat)

    async def attend(self) -> None:
        """Subscribe to what all processes are asked, and send heartbeats until cancelled."""
        await self.bus.subscribe(self.subjects.heartbeats, self._take_heartbeat)
        await self.bus.subscribe(self.subjects.metrics, self._answer_metrics)
        await self.bus.subscribe(self.subjects.log_level, self._set_log_level)
        await self.bus.subscribe(self.subjects.drain(self.process_id), self._take_drain)
        loop = asyncio.get_running_loop()
        interval_s = HEARTBEAT_INTERVAL_MS / 1_000
        while True:
            self.send_heartbeat()
            pause_s = until_beat_s(loop.time(), interval_s)
            due_at_s = loop.time() + pause_s
            await asyncio.sleep(pause_s)
            self.process_metrics.loop_lag.observe(max(0.0, loop.time() - due_at_s))
            self.peers.tick()

    def _take_heartbeat(self, payload: bytes, _reply: str) -> None:
        if payload == self._last_heartbeat:
            self.process_metrics.bus_lag.observe(time.monotonic() - self._beat_at_s)
        if self.peers.receive(payload):
            self.send_heartbeat()  # so that a newcomer knows all of us without waiting for the next round

    def _answer_metrics(self, _payload: bytes, reply: str) -> None:
        self.bus.publish(reply, self.process_metrics.snapshot())

    def _set_log_level(self, payload: bytes, reply: str) -> None:
        try:
            wanted = _LOG_LEVELS.decode(payload)
        except msgspec.DecodeError as error:
            self.log.warning("log_level_unreadable", reason=str(error))
            return
        if wanted.role in ("", self.role):
            logging.set_level(wanted.level)
            self.bus.publish(reply, encode(LogLevelSet(VERSION, self.role, self.process_id, wanted.level)))

    def _take_drain(self, payload: bytes, reply: str) -> None:
        try:
            _DRAINS.decode(payload)
        except msgspec.DecodeError as error:
            self.log.warning("drain_unreadable", reason=str(error))
            return
        self.drain()
        self.bus.publish(reply, b"")


def run(role: str, config: C, serve: Callable[[Runtime[C]], Awaitable[None]]) -> int:
    """Live until SIGTERM or SIGINT; return the exit status.

    `serve` returns soon after `runtime.stopping` is set; it is cancelled `shutdown_grace` later. The status is 2 where a setting (a port
    that is taken, too) keeps the process from starting, 1 where anything else failed.
    """
    parent.obey_environment()
    process_id = f"{role}-{secrets.token_hex(6)}"
    logging.configure(config.log_level, config.log_format, role=role, process_id=process_id)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_live(role, process_id, config, serve))


def _freeze_what_start_up_made() -> None:
    """What start-up made stays for ever: the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _live(role: str, process_id: str, config: C, serve: Callable[[Runtime[C]], Awaitable[None]]) -> int:
    log: FilteringBoundLogger = structlog.get_logger(f"perdure.{role}")
    log.info("starting", version=SOFTWARE_VERSION, process_id=process_id, pid=os.getpid(), **masked_changes(config))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        bus = await _unless(stopping, _connect(config, role, process_id))
        if bus is None:
            return 0
        store = _open_store(config, role)
    except PerdureError as error:
        return _failure(log, "start_failed", error)
    runtime = Runtime(role=role, process_id=process_id, config=config, clock=SystemClock(), random=SystemRandom(), bus=bus, store=store)
    runtime.stopping = stopping
    count_store(runtime.metrics, store)
    count_bus(runtime.metrics, bus)
    try:
        async with metrics_port.serving(config.metrics_address, runtime.process_metrics.text):
            return await _serve(runtime, serve)
    except ConfigurationError as error:
        return _failure(log, "start_failed", error)
    finally:
        await _close(runtime)


async def _serve(runtime: Runtime[C], serve: Callable[[Runtime[C]], Awaitable[None]]) -> int:
    attending = asyncio.ensure_future(runtime.attend())
    serving = asyncio.ensure_future(serve(runtime))
    stop = asyncio.ensure_future(runtime.stopping.wait())
    try:
        await asyncio.wait([serving, stop, attending], return_when=asyncio.FIRST_COMPLETED)
        if stop.done() and not serving.done():
            notify.notify_stopping()
            runtime.drain("stopping")
            await asyncio.wait([serving, attending], timeout=runtime.config.shutdown_grace / 1_000, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                runtime.log.warning("shutdown_grace_exceeded", grace_ms=runtime.config.shutdown_grace)
        if attending.done():
            attending.result()
        if serving.done():
            serving.result()
    except PerdureError as error:
        return _failure(runtime.log, "process_failed", error)
    except Exception as error:
        if (known := _known_cause(error)) is not None:
            return _failure(runtime.log, "process_failed", known)
        runtime.log.exception("process_failed")
        return 1
    finally:
        for task in (serving, stop, attending):
            task.cancel()
        await asyncio.wait([serving, stop, attending], timeout=CLOSING_S_MAX)
    return 0


def _known_cause(error: Exception) -> PerdureError | None:
    """Return the error of ours that ended a group of tasks, where nothing else did."""
    if not isinstance(error, ExceptionGroup):
        return None
    known, others = cast("ExceptionGroup[Exception]", error).split(PerdureError)
    found: Exception | None = known
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found if others is None and isinstance(found, PerdureError) else None


def _failure(log: FilteringBoundLogger, event: str, error: PerdureError) -> int:
    """Log what a user can understand without a traceback; 2 tells a supervisor that starting again will not help."""
    log.error(event, reason=error.message, hint=error.hint)
    notify.notify_failed(f"{error.message}. {error.hint}" if error.hint else error.message)
    return 2 if isinstance(error, ConfigurationError) else 1


async def _close(runtime: Runtime[C]) -> None:
    runtime.send_heartbeat(is_leaving=True)
    try:
        async with asyncio.timeout(CLOSING_S_MAX):
            await runtime.bus.close()
            await runtime.store.close()
    except TimeoutError:
        runtime.log.warning("closing_took_too_long")
    runtime.log.info("stopped")


async def _unless(stopping: asyncio.Event, work: Awaitable[T]) -> T | None:
    """Return what `work` returns, or None if the process is to stop before that."""
    working = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(stopping.wait())
    await asyncio.wait([working, stop], return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if working.done():
        return working.result()
    working.cancel()
    await asyncio.wait([working], timeout=CLOSING_S_MAX)
    return None


async def _connect(config: CommonConfig, role: str, process_id: str) -> NatsBus:
    return await connect(
        config.nats_url,
        name=process_id,
        inbox_prefix=Subjects(config.root).inbox(role),
        tls=_tls(config),
        user=config.nats_user,
        password=config.nats_password,
        credentials_file=config.nats_credentials_file,
    )


def _tls(config: CommonConfig) -> ssl.SSLContext | None:
    if not (config.nats_tls_ca_file or config.nats_tls_cert_file):
        return None
    context = ssl.create_default_context(cafile=config.nats_tls_ca_file or None)
    if config.nats_tls_cert_file:
        context.load_cert_chain(config.nats_tls_cert_file, config.nats_tls_key_file or None)
    return context


def _open_store(config: CommonConfig, role: str) -> Store:
    from perdure.store.opening import open_store

    if config.fdb_cluster_file:
        return open_store(path=None, fdb_cluster_file=config.fdb_cluster_file, root=config.root, fdb=fdb_options(config, tag=role))
    base_dir = Path(config.base_dir)
    base_dir.mkdir(parents=True, exist_ok=True)
    return open_store(path=str(base_dir / "perdure.db"), fdb_cluster_file=None, root=config.root)
