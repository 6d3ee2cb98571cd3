"""What the sql process counts of its statements."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from perdure.process.meters import SECONDS, Histogram


class SqlMetrics(Collector):
    """Counts of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._done = 0
        self._failed = 0
        self._durations = Histogram(SECONDS)
        registry.register(self)

    def record(self, is_done: bool, duration_s: float) -> None:
        """Count what a client had executed, its rows taken included."""
        if is_done:
            self._done += 1
        else:
            self._failed += 1
        self._durations.observe(duration_s)

    def collect(self) -> Iterable[Metric]:
        """Return the present figures."""
        statements = CounterMetricFamily("perdure_sql_statements", "Statements of clients that ended.", labels=["outcome"])
        statements.add_metric(["completed"], self._done)
        statements.add_metric(["failed"], self._failed)
        yield statements
        yield self._durations.family("perdure_sql_statement_duration_seconds", "Statements, until the client had taken the rows.")
