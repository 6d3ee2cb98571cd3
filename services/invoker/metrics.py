"""What an invoker counts, read when somebody asks, so that counting costs nothing on the way of a call."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.invoker.invoker import Invoker


class InvokerMetrics(Collector):
    """Collects from the parts of an invoker."""

    def __init__(self, registry: CollectorRegistry, invoker: Invoker) -> None:
        self._registry = registry
        self._invoker = invoker
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return the present figures."""
        invoker = self._invoker
        owner, attempts = invoker.owner, invoker.attempts
        yield CounterMetricFamily("perdure_invoker_commits", "Transactions committed.", value=owner.commits)
        yield CounterMetricFamily("perdure_invoker_rows", "Rows written by commits.", value=owner.rows)
        yield CounterMetricFamily("perdure_invoker_commit_seconds", "Time spent in commits.", value=owner.commit_seconds)
        yield CounterMetricFamily("perdure_invoker_requests", "Requests from other processes.", value=invoker.requests.received)
        yield CounterMetricFamily("perdure_invoker_attempts", "Attempts started.", value=attempts.started)
        yield CounterMetricFamily("perdure_invoker_retries", "Attempts that failed and were tried again.", value=attempts.retried)
        yield CounterMetricFamily("perdure_invoker_lease_changes", "Partitions taken, given or lost.", value=invoker.leases.changes)
        yield GaugeMetricFamily("perdure_invoker_open_attempts", "Attempts that are running.", value=attempts.open_count)
        yield GaugeMetricFamily("perdure_invoker_waiting_attempts", "Attempts that wait for a slot.", value=attempts.waiting_count)
        lives = GaugeMetricFamily("perdure_invoker_invocations", "Unfinished invocations in memory.", labels=["partition"])
        for number, owned in owner.partitions.items():
            lives.add_metric([str(number)], len(owned.view.lives))
        yield lives
        yield from self._subscriptions()

    def _subscriptions(self) -> Iterable[Metric]:
        records = CounterMetricFamily("perdure_invoker_subscription_records", "Records admitted.", labels=["subscription"])
        failures = CounterMetricFamily("perdure_invoker_subscription_failures", "Breaks in reading.", labels=["subscription"])
        for pump in self._invoker.subscriptions.pumps:
            records.add_metric([pump.subscription.id], pump.records)
            failures.add_metric([pump.subscription.id], pump.failures)
        yield records
        yield failures

    def close(self) -> None:
        """Stop being asked."""
        self._registry.unregister(self)
