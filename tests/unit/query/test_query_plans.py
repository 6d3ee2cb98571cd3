"""What a statement wants of each table, as its plan tells."""

import pytest

from perdure.query.catalogue import SCHEMAS
from perdure.query.datafusion import DataFusion
from perdure.query.engine import AS_ENGINE
from perdure.query.wanted import EVERYTHING, Conditions, Wanted, both, either, union

ENGINE = DataFusion(SCHEMAS, {}, memory_bytes_max=1 << 26)
ID = "inv_1a"


def wanted(sql: str, table: str = "sys_invocation_status", *parameters: object) -> Wanted | None:
    return ENGINE.wanted_by(sql, parameters, AS_ENGINE).get(("public", table))


def equal(sql: str) -> dict[str, set[str | int]]:
    found = wanted(f"SELECT id FROM sys_invocation_status WHERE {sql}")
    return {} if found is None else {column: set(values) for column, values in found.conditions.equal.items()}


@pytest.mark.parametrize(
    ("condition", "values"),
    [
        ("id = 'a'", {"id": {"a"}}),
        ("'a' == id", {"id": {"a"}}),
        ("id IN ('a', 'b')", {"id": {"a", "b"}}),
        ("id IN ('a', 'b', 'c', 'd', 'e')", {"id": {"a", "b", "c", "d", "e"}}),
        ("id = 'a' AND target_service_name = 's'", {"id": {"a"}, "target_service_name": {"s"}}),
        ("id = 'a' OR (id = 'b' AND target_service_name = 's')", {"id": {"a", "b"}}),
        ("id = 'a' OR target_service_name = 's'", {}),
        ("id = 'a' OR id LIKE 'b%'", {}),
        ("id IN ('a', 'b', 'c', 'd', 'e') AND id IN ('d', 'e', 'f', 'g', 'h')", {"id": {"d", "e"}}),
        ("partition_key = 18446744073709551615", {"partition_key": {18446744073709551615}}),
        ("NOT (id = 'a')", {}),
        ("lower(id) = 'a'", {}),
        ("id = target", {}),
        ("id IS NULL", {}),
    ],
)
def test_equalities_are_conditions(condition: str, values: dict[str, set[str | int]]) -> None:
    assert equal(condition) == values


def test_inequalities_are_conditions() -> None:
    found = wanted("SELECT id FROM sys_invocation_status WHERE status != 'completed' AND status NOT IN ('a', 'b', 'c', 'd')")
    assert found is not None
    assert found.conditions.unequal == {"status": frozenset({"completed", "a", "b", "c", "d"})}
    assert not found.conditions.allows("status", "completed")
    assert found.conditions.allows("status", "inboxed")


def test_parameters_count_as_values() -> None:
    found = wanted("SELECT id FROM sys_invocation_status WHERE id = $1", "sys_invocation_status", "a")
    assert found == Wanted(frozenset({"id"}), Conditions({"id": frozenset({"a"})}))


def test_only_columns_that_are_used_are_wanted() -> None:
    assert wanted("SELECT count(*) FROM sys_invocation_status") == Wanted(frozenset())
    found = wanted("SELECT target FROM sys_invocation_status WHERE status = 'paused'")
    assert found is not None
    assert found.columns == {"target", "status"}


def test_a_limit_is_wanted_only_where_no_row_can_fall_out_before_it() -> None:
    assert wanted("SELECT id FROM sys_invocation_status LIMIT 5") == Wanted(frozenset({"id"}), limit=5)
    for statement in (
        "SELECT id FROM sys_invocation_status WHERE target LIKE 'a%' LIMIT 5",
        "SELECT id FROM sys_invocation_status ORDER BY id LIMIT 5",
        "SELECT a.id FROM (SELECT id FROM sys_invocation_status LIMIT 5) a, (SELECT id FROM sys_invocation_status) b",
    ):
        found = wanted(statement)
        assert found is not None
        assert found.limit is None


def test_each_place_of_a_statement_counts() -> None:
    found = wanted("SELECT id FROM sys_invocation_status WHERE id = 'a' UNION ALL SELECT target FROM sys_invocation_status WHERE id = 'b'")
    assert found == Wanted(frozenset({"id", "target"}), Conditions({"id": frozenset({"a", "b"})}))


def test_of_a_table_in_an_expression_everything_is_wanted() -> None:
    statement = (
        "SELECT s.name FROM sys_service s WHERE s.name = 'a' AND s.revision >"
        " (SELECT count(*) FROM sys_invocation_status i WHERE i.target_service_name = 'x')"
    )
    assert {name for _, name in ENGINE.wanted_by(statement, (), AS_ENGINE)} == {"sys_service", "sys_invocation_status"}


def test_conditions_of_both_and_of_either() -> None:
    one = Conditions({"a": frozenset({"1", "2"})}, {"b": frozenset({"x", "y"})})
    other = Conditions({"a": frozenset({"2", "3"}), "c": frozenset({"z"})}, {"b": frozenset({"y"})})
    assert both(one, other) == Conditions({"a": frozenset({"2"}), "c": frozenset({"z"})}, {"b": frozenset({"x", "y"})})
    assert either(one, other) == Conditions({"a": frozenset({"1", "2", "3"})}, {"b": frozenset({"y"})})
    assert union([EVERYTHING, Wanted(frozenset({"a"}), one)]) == EVERYTHING
