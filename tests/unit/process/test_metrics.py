from prometheus_client.parser import text_string_to_metric_families

from perdure.bus.messages import MetricsSnapshot, decoder_of
from perdure.process.metrics import ProcessMetrics


def samples(metrics: ProcessMetrics) -> dict[str, float]:
    snapshot = decoder_of(MetricsSnapshot).decode(metrics.snapshot())
    assert (snapshot.role, snapshot.process_id) == ("admin", "admin-1")
    return {sample.name: sample.value for family in text_string_to_metric_families(snapshot.text.decode()) for sample in family.samples}


def test_a_snapshot_has_memory_and_the_longest_lag_since_the_last_one() -> None:
    metrics = ProcessMetrics("admin", "admin-1")
    metrics.observe_lag(0.25)
    metrics.observe_lag(0.125)
    first = samples(metrics)
    assert first["perdure_event_loop_lag_seconds"] == 0.25
    assert first["process_resident_memory_bytes"] > 1_000_000
    assert samples(metrics)["perdure_event_loop_lag_seconds"] == 0.0
