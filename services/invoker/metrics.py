"""The metrics of an invoker, made when somebody asks from what its parts have counted."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from perdure.base.clock import Clock
from perdure.deployments.client import HttpDeploymentClient
from perdure.model.invocation import Status
from services.invoker.attempts import Attempts
from services.invoker.invoker import Invoker
from services.invoker.leases import Leases
from services.invoker.owner import Owner
from services.invoker.plan import Outcome
from services.invoker.watched_store import WatchedStore


class InvokerMetrics(Collector):
    """Collects from the parts of an invoker."""

    def __init__(self, registry: CollectorRegistry, invoker: Invoker, client: HttpDeploymentClient, clock: Clock) -> None:
        self._registry = registry
        self._invoker = invoker
        self._client = client
        self._clock = clock
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return the present figures."""
        invoker = self._invoker
        yield CounterMetricFamily("perdure_invoker_requests", "Requests from other processes.", value=invoker.requests.received)
        yield from _commits(invoker.owner, invoker.store, self._clock.now_ms())
        yield from _attempts(invoker.attempts)
        yield from _deployments(self._client, invoker.attempts)
        yield from _partitions(invoker.owner, invoker.leases)
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


def _commits(owner: Owner, store: WatchedStore, now_ms: int) -> Iterable[Metric]:
    commits = owner.commits
    yield commits.durations.family("perdure_invoker_commit_duration_seconds", "Commits; their number is that of transactions.")
    yield commits.queued.family("perdure_invoker_commit_queue_seconds", "From a batch's first event to the start of its commit.")
    yield commits.rows.family("perdure_invoker_commit_rows", "Rows that a commit wrote.")
    yield commits.sizes.family("perdure_invoker_commit_size_bytes", "Size of what a commit wrote.")
    yield GaugeMetricFamily("perdure_invoker_waiting_commits", "Batches that wait for the commit in flight.", value=owner.batches_waiting)
    yield GaugeMetricFamily(
        "perdure_invoker_oldest_uncommitted_seconds",
        "Age of the oldest event that has not committed.",
        value=owner.stalled_ms(now_ms) / 1_000,
    )
    yield GaugeMetricFamily(
        "perdure_invoker_oldest_store_access_seconds",
        "Age of the oldest read or commit that the store has not answered.",
        value=store.wait_ms() / 1_000,
    )


def _attempts(attempts: Attempts) -> Iterable[Metric]:
    ended = CounterMetricFamily("perdure_invoker_attempts", "Attempts that ended.", labels=["service", "handler", "outcome"])
    durations = HistogramMetricFamily(
        "perdure_invoker_attempt_duration_seconds", "Attempts, from their opening to their end.", labels=["service", "handler"]
    )
    suspended = 0
    for labels, meter in attempts.meters.by_handler.items():
        suspended += meter.outcomes[Outcome.SUSPENDED]
        for outcome, count in meter.outcomes.items():
            ended.add_metric([*labels, outcome.replace(" ", "_")], count)
        meter.durations.add_to(durations, labels)
    yield ended
    yield durations
    phases = HistogramMetricFamily(
        "perdure_invoker_attempt_phase_seconds",
        "Where the time of an attempt went: waiting for a slot, until the deployment's first byte, in the handler, in commits.",
        labels=["phase"],
    )
    for name, histogram in attempts.meters.phases.items():
        histogram.add_to(phases, [name])
    yield phases
    yield CounterMetricFamily("perdure_invoker_attempts_started", "Attempts that were opened.", value=attempts.started)
    yield CounterMetricFamily("perdure_invoker_retries", "Attempts that failed and are tried again.", value=attempts.retried)
    yield CounterMetricFamily("perdure_invoker_suspensions", "Attempts that suspended.", value=suspended)
    yield GaugeMetricFamily("perdure_invoker_open_attempts", "Attempts that are running.", value=attempts.open_count)
    yield GaugeMetricFamily("perdure_invoker_waiting_attempts", "Attempts that wait for a slot.", value=attempts.waiting_count)


def _deployments(client: HttpDeploymentClient, attempts: Attempts) -> Iterable[Metric]:
    meters = attempts.meters
    yield GaugeMetricFamily("perdure_deployment_open_connections", "Connections to deployments over HTTP.", value=client.connection_count)
    yield GaugeMetricFamily("perdure_deployment_waiting_requests", "Requests that wait for a connection.", value=client.waiting_count)
    yield CounterMetricFamily("perdure_deployment_sent_bytes", "Bytes of messages to handlers.", value=meters.sent_bytes)
    yield CounterMetricFamily("perdure_deployment_received_bytes", "Bytes of messages from handlers.", value=meters.received_bytes)


def _partitions(owner: Owner, leases: Leases) -> Iterable[Metric]:
    yield GaugeMetricFamily("perdure_invoker_partitions", "Partitions that this process owns.", value=len(owner.partitions))
    changes = CounterMetricFamily(
        "perdure_invoker_lease_changes", "Partitions taken, given to another process, or lost.", labels=["change"]
    )
    for change, count in (("taken", leases.taken), ("given", leases.given), ("lost", owner.lost)):
        changes.add_metric([change], count)
    yield changes
    invocations = GaugeMetricFamily("perdure_invoker_invocations", "Invocations of owned partitions.", labels=["partition", "state"])
    lives = GaugeMetricFamily("perdure_invoker_live_invocations", "Unfinished invocations in memory.", labels=["partition"])
    for number, owned in sorted(owner.partitions.items()):
        for status in Status:
            invocations.add_metric([str(number), status.name.lower()], owned.view.totals[status])
        lives.add_metric([str(number)], len(owned.view.lives))
    yield invocations
    yield lives
