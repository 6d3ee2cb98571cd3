from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from perdure.bus.messages import VERSION, MetricsSnapshot
from services.nodectl.metrics import merge


def a_snapshot(text: bytes, role: str = "invoker", process_id: str = "invoker-1") -> MetricsSnapshot:
    return MetricsSnapshot(version=VERSION, role=role, process_id=process_id, text=text)


def a_registry(value: float) -> bytes:
    registry = CollectorRegistry()
    Counter("perdure_commits", 'Commits, "quoted" \\ and\nbroken.', ["partition"], registry=registry).labels("1").inc(value)
    Gauge("perdure_lag_seconds", "Lag.", registry=registry).set(value)
    Histogram("perdure_batch", "Batch.", buckets=[1, 2], registry=registry).observe(value)
    return generate_latest(registry)


def test_families_of_several_processes_stand_together_once() -> None:
    text = merge([a_snapshot(a_registry(1)), a_snapshot(a_registry(2), "admin", "admin-1")]).decode()
    names = [family.name for family in text_string_to_metric_families(text)]
    assert len(names) == len(set(names))
    assert text.count("# TYPE perdure_commits_total counter") == 1
    assert text.count("# HELP perdure_lag_seconds ") == 1


def test_each_sample_says_where_it_comes_from_and_keeps_its_labels_and_value() -> None:
    text = merge([a_snapshot(a_registry(1)), a_snapshot(a_registry(2), "admin", "admin-1")]).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    commits = [(s.labels, s.value) for s in families["perdure_commits"].samples if s.name == "perdure_commits_total"]
    assert commits == [
        ({"role": "invoker", "process": "invoker-1", "partition": "1"}, 1.0),
        ({"role": "admin", "process": "admin-1", "partition": "1"}, 2.0),
    ]
    assert {s.labels["process"]: s.value for s in families["perdure_lag_seconds"].samples} == {"invoker-1": 1.0, "admin-1": 2.0}
    assert {s.labels["process"] for s in families["perdure_batch"].samples} == {"invoker-1", "admin-1"}


def test_a_family_that_only_one_process_has_is_kept() -> None:
    text = merge([a_snapshot(b"# HELP a A\n# TYPE a gauge\na 1\n"), a_snapshot(b"# HELP b B\n# TYPE b gauge\nb{} 2\n")]).decode()
    assert [family.name for family in text_string_to_metric_families(text)] == ["a", "b"]


def test_a_label_value_with_braces_and_spaces_stays_whole() -> None:
    text = merge([a_snapshot(b'a{x="} {"} 1 123\n')]).decode()
    assert text == 'a{role="invoker",process="invoker-1",x="} {"} 1 123\n'


def test_names_of_processes_are_escaped() -> None:
    sample = next(iter(text_string_to_metric_families(merge([a_snapshot(b"a 1\n", process_id='x"\\y')]).decode()))).samples[0]
    assert sample.labels["process"] == 'x"\\y'


def test_nothing_merges_to_nothing() -> None:
    assert merge([]) == b""
