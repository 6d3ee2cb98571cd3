"""What a public port counts: its connections, and the bytes that come and go over them."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Traffic(Collector):
    """Counts of one port; whoever serves it adds to them. Bytes are those of the protocol, without TLS around it."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.open = 0
        self.accepted = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        if registry is not None:
            registry.register(self)

    def opened(self) -> None:
        """Count a connection that was accepted."""
        self.open += 1
        self.accepted += 1

    def closed(self) -> None:
        """Count one that is gone."""
        self.open -= 1

    def collect(self) -> Iterable[Metric]:
        """Return the present figures."""
        yield GaugeMetricFamily("perdure_port_open_connections", "Connections of clients.", value=self.open)
        yield CounterMetricFamily("perdure_port_connections", "Connections accepted.", value=self.accepted)
        yield CounterMetricFamily("perdure_port_received_bytes", "Bytes from clients.", value=self.received_bytes)
        yield CounterMetricFamily("perdure_port_sent_bytes", "Bytes to clients.", value=self.sent_bytes)
