"""What nodectl itself can tell of the suite as a whole, as metrics. Pure. They have no process: they are nobody's own."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.nodectl.cluster import ClusterView


class _Suite(Collector):
    def __init__(self, view: ClusterView, required_roles: Iterable[str]) -> None:
        self._view = view
        self._required_roles = required_roles

    def collect(self) -> Iterable[Metric]:
        view = self._view
        yield GaugeMetricFamily("perdure_suite_ready", "Whether calls get on, as /ready tells.", value=not view.health.reasons)
        alive = Counter(heartbeat.role for heartbeat in view.heartbeats)
        ready = Counter(heartbeat.role for heartbeat in view.heartbeats if heartbeat.is_ready)
        processes = GaugeMetricFamily("perdure_suite_processes", "Processes that live.", labels=["role"])
        serving = GaugeMetricFamily("perdure_suite_ready_processes", "Those of them that do their work.", labels=["role"])
        for role in sorted({*self._required_roles, *alive}):
            processes.add_metric([role], alive[role])
            serving.add_metric([role], ready[role])
        yield processes
        yield serving
        unowned = view.partitions - len(view.owners)
        yield GaugeMetricFamily("perdure_suite_partitions", "Partitions of the store.", value=view.partitions)
        yield GaugeMetricFamily("perdure_suite_unowned_partitions", "Those of them without a living owner.", value=unowned)
        lags = GaugeMetricFamily("perdure_suite_partition_lag_seconds", "How long its oldest work has been waiting.", labels=["partition"])
        for partition, lag_ms in sorted(view.lags_ms.items()):
            lags.add_metric([str(partition)], max(0, lag_ms) / 1_000)
        yield lags


def text_of_suite(view: ClusterView, required_roles: Iterable[str]) -> bytes:
    """Return the metrics of the suite as Prometheus text."""
    registry = CollectorRegistry()
    registry.register(_Suite(view, required_roles))
    return generate_latest(registry)
