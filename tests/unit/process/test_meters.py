from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from perdure.process import meters
from perdure.process.meters import HANDLERS_MAX, OTHER, ByHandler

BOUNDS = (0.5, 1.0, 2.5)


class Ours(Collector):
    def __init__(self, histogram: meters.Histogram) -> None:
        self.histogram = histogram

    def collect(self) -> list[Metric]:
        return [self.histogram.family("h", "H.")]


@given(st.lists(st.sampled_from([0.0, 0.5, 0.75, 1.0, 2.0, 2.5, 3.0])))
def test_a_histogram_is_that_of_prometheus(values: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    histogram, expected = meters.Histogram(BOUNDS), Histogram("h", "H.", buckets=BOUNDS, registry=theirs)
    ours.register(Ours(histogram))
    for value in values:
        histogram.observe(value)
        expected.observe(value)
    text = [line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line]
    assert generate_latest(ours).decode().splitlines() == text


def test_handlers_beyond_the_limit_share_one_meter() -> None:
    by_handler: ByHandler[list[str]] = ByHandler(list)
    for number in range(HANDLERS_MAX + 50):
        by_handler.of("Service", f"h{number}").append("called")
    assert by_handler.of("Service", "h0") == ["called"]
    assert by_handler.of("Another", "x") == ["called"] * 50
    assert len(by_handler.items()) == HANDLERS_MAX + 1
    assert (OTHER, OTHER) in dict(by_handler.items())
