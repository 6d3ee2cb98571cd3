from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from perdure.bus.messages import MetricsSnapshot, decoder_of
from perdure.process.metrics import PLAIN_BYTES_MAX, ProcessMetrics, text_of
from perdure.process.traffic import Traffic


def samples(metrics: ProcessMetrics) -> dict[str, float]:
    snapshot = decoder_of(MetricsSnapshot).decode(metrics.snapshot())
    assert (snapshot.role, snapshot.process_id) == ("admin", "admin-1")
    return {sample.name: sample.value for family in text_string_to_metric_families(text_of(snapshot)) for sample in family.samples}


def test_a_snapshot_has_memory_and_every_lag_however_often_it_is_read() -> None:
    metrics = ProcessMetrics("admin", "admin-1")
    metrics.loop_lag.observe(0.25)
    metrics.loop_lag.observe(0.125)
    for _ in range(2):
        read = samples(metrics)
        assert (read["perdure_event_loop_lag_seconds_count"], read["perdure_event_loop_lag_seconds_sum"]) == (2, 0.375)
        assert read["process_resident_memory_bytes"] > 1_000_000


class Many(Collector):
    def collect(self) -> list[Metric]:
        family = CounterMetricFamily("many", "Many.", labels=["service"])
        for number in range(30_000):
            family.add_metric([f"Service{number}"], number)
        return [family]


def test_a_snapshot_too_long_for_a_message_of_nats_travels_compressed() -> None:
    metrics = ProcessMetrics("admin", "admin-1")
    metrics.registry.register(Many())
    encoded = metrics.snapshot()
    assert len(encoded) < PLAIN_BYTES_MAX
    text = text_of(decoder_of(MetricsSnapshot).decode(encoded))
    assert len(text) > PLAIN_BYTES_MAX
    assert 'many_total{service="Service29999"} 29999.0' in text


def test_a_port_counts_its_connections_and_bytes() -> None:
    registry = CollectorRegistry()
    traffic = Traffic(registry)
    traffic.opened()
    traffic.opened()
    traffic.closed()
    traffic.received_bytes += 10
    traffic.sent_bytes += 20
    lines = set(generate_latest(registry).decode().splitlines())
    assert lines >= {
        "perdure_port_open_connections 1.0",
        "perdure_port_connections_total 2.0",
        "perdure_port_received_bytes_total 10.0",
        "perdure_port_sent_bytes_total 20.0",
    }
