"""Reads from an optimized plan of DataFusion which tables it scans, and what it wants of each.

Its objects have no types that a checker knows: hence Any for them.
"""

from collections.abc import Iterator
from typing import Any, Final

from perdure.query.wanted import EVERYTHING, Conditions, Value, Wanted, both, either, union

_SUBQUERY: Final = "Subquery:"
"""Stands in the text of a plan where an expression holds a plan of its own, which is not among the inputs."""


Place = tuple[str, str]
"""Schema and name of a table."""


def wanted_of(plan: Any, tables: set[Place], schema: str) -> dict[Place, Wanted]:
    """Return table -> what the plan wants of it, for those of `tables` that it reads; `schema` is that of names without one."""
    if _SUBQUERY in plan.display_indent():
        return dict.fromkeys(tables, EVERYTHING)
    found: dict[Place, list[Wanted]] = {}
    for named, name, wanted in _scans(plan, Conditions()):
        place = (named or schema, name)
        if place in tables:
            found.setdefault(place, []).append(wanted)
    return {place: union(parts) for place, parts in found.items()}


def _scans(plan: Any, conditions: Conditions) -> Iterator[tuple[str | None, str, Wanted]]:
    """Yield what each scan of a plan wants; `conditions` hold for all rows that `plan` gives to anyone."""
    node: Any
    try:
        node = plan.to_variant()
    except Exception:  # the binding has no class for this kind of node, and gives no better type of error
        node = None
    kind = type(node).__name__
    if kind == "TableScan":
        columns = frozenset(name for _, name in node.projection())
        _, schema, name = node.fqn()
        yield schema, name, Wanted(columns, conditions, node.fetch())
        return
    below = _conditions_of(node.predicate()) if kind == "Filter" else Conditions()
    for part in plan.inputs():
        yield from _scans(part, below)


def _conditions_of(expression: Any) -> Conditions:
    kind = expression.variant_name()
    if kind == "BinaryExpr":
        node = expression.to_variant()
        left, right = node.left(), node.right()
        match node.op():
            case "AND":
                return both(_conditions_of(left), _conditions_of(right))
            case "OR":
                return either(_conditions_of(left), _conditions_of(right))
            case "=" | "!=" as operator:
                if left.variant_name() == "Literal":
                    left, right = right, left
                return _comparison(left, [right], is_negated=operator == "!=")
            case _:
                return Conditions()
    if kind == "InList":
        node = expression.to_variant()
        return _comparison(node.expr(), node.list(), is_negated=node.negated())
    return Conditions()


def _comparison(column: Any, literals: list[Any], *, is_negated: bool) -> Conditions:
    if column.variant_name() != "Column" or any(literal.variant_name() != "Literal" for literal in literals):
        return Conditions()
    name = column.to_variant().name()
    values: set[Value] = set()
    for literal in literals:
        value = literal.python_value()
        value = value.as_py() if hasattr(value, "as_py") else value
        if not isinstance(value, str | int):
            return Conditions()
        values.add(value)
    by_column = {name: frozenset(values)}
    return Conditions(unequal=by_column) if is_negated else Conditions(equal=by_column)
