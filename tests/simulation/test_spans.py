"""What invokers tell of their work while they die and take over from each other: each span once, or the same again."""

from collections import Counter

import pytest

from perdure.process.spans import Span
from tests.simulation.cases import FAULTS
from tests.simulation.suite import WORKLOADS
from tests.simulation.world import Case, simulate


class Told:
    """Spans by id, across all processes of a run, killed ones included."""

    def __init__(self) -> None:
        self.by_id: dict[int, Span] = {}
        self.repeated = 0
        self.contradictions: list[str] = []

    def add(self, span: Span) -> None:
        known = self.by_id.setdefault(span.context.span_id, span)
        self.repeated += known is not span
        if known != span:
            self.contradictions.append(f"{span.name} is told as\n  {known}\nand as\n  {span}")

    def invocations(self) -> Counter[tuple[object, int]]:
        """Count spans of invocations by id and time of admission."""
        spans = [span for span in self.by_id.values() if span.name.startswith("invocation ")]
        return Counter((span.attributes["restate.invocation.id"], span.start_ns) for span in spans)

    def gaps(self) -> list[str]:
        """Return ended invocations with a command between others that nobody told of."""
        indexes: dict[object, set[int]] = {}
        for span in self.by_id.values():
            if "restate.command.index" in span.attributes:
                indexes.setdefault(span.attributes["restate.invocation.id"], set()).add(int(span.attributes["restate.command.index"]))
        ended = {invocation_id for invocation_id, _ in self.invocations()}
        return [f"{each}: {sorted(found)}" for each, found in indexes.items() if each in ended and len(found) <= max(found) - min(found)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("faults", ["no faults", "kills", "everything"])
def test_no_span_is_told_in_two_ways(faults: str) -> None:
    repeated = 0
    for seed, workload in enumerate(WORKLOADS):
        told = Told()
        verdict = simulate(Case(seed, workload, faults, FAULTS[faults]), told)
        assert verdict.violations == []
        assert told.contradictions == [], f"seed {seed} ({workload.__name__})"
        assert set(told.invocations().values()) == {1}
        assert told.gaps() == [], f"seed {seed} ({workload.__name__})"
        repeated += told.repeated
    assert (repeated == 0) == (faults == "no faults")
