"""Who should own which partition."""

from hypothesis import given
from hypothesis import strategies as st

from services.invoker.assignment import assign

NAMES = st.sets(st.sampled_from([f"invoker-{number}" for number in range(6)]), min_size=1)
PLACEMENTS = st.dictionaries(st.integers(0, 30), st.sampled_from([f"invoker-{number}" for number in range(6)]))


@given(st.integers(1, 30), NAMES)
def test_every_partition_is_at_a_living_invoker_and_loads_differ_by_one_at_most(count: int, names: set[str]) -> None:
    assignment = assign(count, sorted(names), {})
    loads = [list(assignment.values()).count(name) for name in names]
    assert set(assignment) == set(range(count))
    assert set(assignment.values()) <= names
    assert max(loads) - min(loads) <= 1


@given(st.integers(1, 30), NAMES, PLACEMENTS)
def test_what_an_operator_wants_goes_there_if_it_lives_and_nothing_else_moves(
    count: int, names: set[str], placements: dict[int, str]
) -> None:
    plain, wanted = assign(count, sorted(names), {}), assign(count, sorted(names), placements)
    for partition in range(count):
        name = placements.get(partition)
        assert wanted[partition] == (name if name in names else plain[partition])
    assert set(wanted) == set(range(count))


def test_nobody_owns_anything_where_nobody_lives() -> None:
    assert assign(3, [], {0: "invoker-1"}) == {}
