"""A process's metrics: its registry with what every process measures, and the snapshot that nodectl asks for."""

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from perdure.base.version import SOFTWARE_VERSION
from perdure.bus.interface import Bus
from perdure.bus.messages import VERSION, MetricsSnapshot, encode
from perdure.bus.nats import NatsBus
from perdure.process.meters import SHORT_SECONDS, Histogram
from perdure.store.fdb.counters import StoreCounters
from perdure.store.interface import Store

if TYPE_CHECKING:
    from perdure.store.embedded.store import EmbeddedStore

PLAIN_BYTES_MAX: Final = 512 * 1024
"""Longer texts travel compressed, to a tenth: a message of NATS holds a mebibyte."""

_CONFLICTS: Final = "Transactions that met those of another process, by kind of key; `file`: the embedded store, where they wait."


class ProcessMetrics(Collector):
    """The registry, with memory, CPU and open files of the process, and the lags of its event loop and of the bus."""

    def __init__(self, role: str, process_id: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(self)
        self.loop_lag = Histogram(SHORT_SECONDS)
        """How much later than asked for a timer ran, in seconds."""
        self.bus_lag = Histogram(SHORT_SECONDS)
        """From a heartbeat to its return, in seconds."""
        self._role = role
        self._process_id = process_id

    def collect(self) -> Iterable[Metric]:
        """Return the present figures."""
        yield InfoMetricFamily("perdure_build", "Version of the software.", value={"version": SOFTWARE_VERSION})
        yield self.loop_lag.family("perdure_event_loop_lag_seconds", "How much later than asked for a timer ran; looked at each second.")
        yield self.bus_lag.family(
            "perdure_bus_lag_seconds", "From the sending of a heartbeat until it came back from NATS; looked at each second."
        )

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)

    def snapshot(self) -> bytes:
        """Return an encoded `MetricsSnapshot`."""
        text = self.text()
        is_long = len(text) > PLAIN_BYTES_MAX
        return encode(
            MetricsSnapshot(
                version=VERSION,
                role=self._role,
                process_id=self._process_id,
                text=b"" if is_long else text,
                compressed_text=zlib.compress(text, 1) if is_long else b"",
            )
        )


def text_of(snapshot: MetricsSnapshot) -> str:
    """Return the text of a snapshot, which may be compressed."""
    return (zlib.decompress(snapshot.compressed_text) if snapshot.compressed_text else snapshot.text).decode()


class BusMetrics(Collector):
    """Messages of this process over NATS."""

    def __init__(self, bus: NatsBus) -> None:
        self._bus = bus

    def collect(self) -> Iterable[Metric]:
        """Return the present figures."""
        bus = self._bus
        yield CounterMetricFamily("perdure_bus_sent_messages", "Messages sent.", value=bus.sent)
        yield CounterMetricFamily("perdure_bus_sent_bytes", "Bytes of their payloads.", value=bus.sent_bytes)
        yield CounterMetricFamily("perdure_bus_received_messages", "Messages received.", value=bus.received)
        yield CounterMetricFamily("perdure_bus_received_bytes", "Bytes of their payloads.", value=bus.received_bytes)
        yield CounterMetricFamily(
            "perdure_bus_dropped_messages", "Messages not sent because the bus was away or congested.", value=bus.dropped
        )
        yield GaugeMetricFamily("perdure_bus_connected", "Whether NATS is connected.", value=bus.is_connected)


class StoreMetrics(Collector):
    """What befalls the transactions of this process in FoundationDB."""

    def __init__(self, counters: StoreCounters) -> None:
        self._counters = counters

    def collect(self) -> Iterable[Metric]:
        """Return the present figures."""
        counters = self._counters
        yield CounterMetricFamily("perdure_store_transactions", "Transactions that went through.", value=counters.transactions)
        yield CounterMetricFamily(
            "perdure_store_cached_starts",
            "Tries that began at the version of the last commit of this process.",
            value=counters.cached_starts,
        )
        yield CounterMetricFamily("perdure_store_stale_starts", "Those of them that had to begin anew.", value=counters.stale_starts)
        errors = CounterMetricFamily("perdure_store_errors", "Tries that failed, by what befell them.", labels=["kind"])
        for kind in StoreCounters.kinds():
            errors.add_metric([kind], counters.errors[kind])
        yield errors
        conflicts = CounterMetricFamily("perdure_store_conflicts", _CONFLICTS, labels=["key"])
        for kind, count in sorted(counters.conflicts.items()):
            conflicts.add_metric([kind], count)
        yield conflicts


class EmbeddedStoreMetrics(Collector):
    """What befalls the transactions of this process in the embedded store."""

    def __init__(self, store: "EmbeddedStore") -> None:
        self._store = store

    def collect(self) -> Iterable[Metric]:
        """Return the present figures."""
        yield CounterMetricFamily("perdure_store_transactions", "Transactions that went through.", value=self._store.transactions)
        conflicts = CounterMetricFamily("perdure_store_conflicts", _CONFLICTS, labels=["key"])
        conflicts.add_metric(["file"], self._store.lock_waits)
        yield conflicts


def count_store(registry: CollectorRegistry, store: Store) -> None:
    """Show the counters of a store that counts."""
    counters = getattr(store, "counters", None)
    if isinstance(counters, StoreCounters):
        registry.register(StoreMetrics(counters))
        return
    from perdure.store.embedded.store import EmbeddedStore  # an import that costs nothing where that store is in use

    if isinstance(store, EmbeddedStore):
        registry.register(EmbeddedStoreMetrics(store))


def count_bus(registry: CollectorRegistry, bus: Bus) -> None:
    """Show the counters of a bus that counts."""
    if isinstance(bus, NatsBus):
        registry.register(BusMetrics(bus))
