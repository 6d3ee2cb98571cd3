"""A process's metrics: its registry with what every process measures, and the snapshot that nodectl asks for."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from perdure.bus.messages import VERSION, MetricsSnapshot, encode
from perdure.store.fdb.counters import StoreCounters
from perdure.store.interface import Store


class ProcessMetrics:
    """The registry, with resident memory, CPU and open files of the process, the lag of its event loop and messages it dropped."""

    def __init__(self, role: str, process_id: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._role = role
        self._process_id = process_id
        self._lag = Gauge(
            "perdure_event_loop_lag_seconds",
            "Longest delay of a timer since the metrics were last read.",
            registry=self.registry,
        )
        self.bus_dropped = Gauge(
            "perdure_bus_dropped_messages",
            "Messages that could not be sent because the bus was disconnected or congested.",
            registry=self.registry,
        )
        self._lag_s_max = 0.0

    def observe_lag(self, lag_s: float) -> None:
        """Note how much later than asked for a timer ran."""
        self._lag_s_max = max(self._lag_s_max, lag_s)

    def snapshot(self) -> bytes:
        """Return an encoded `MetricsSnapshot`."""
        self._lag.set(self._lag_s_max)
        self._lag_s_max = 0.0
        text = generate_latest(self.registry)
        return encode(MetricsSnapshot(version=VERSION, role=self._role, process_id=self._process_id, text=text))


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
        conflicts = CounterMetricFamily("perdure_store_conflicts", "Tries that conflicted, by kind of the key.", labels=["key"])
        for kind, count in sorted(counters.conflicts.items()):
            conflicts.add_metric([kind], count)
        yield conflicts


def count_store(registry: CollectorRegistry, store: Store) -> None:
    """Show the counters of a store that counts: FoundationDB's."""
    counters = getattr(store, "counters", None)
    if isinstance(counters, StoreCounters):
        registry.register(StoreMetrics(counters))
