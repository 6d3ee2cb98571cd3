"""What a statement wants of a table, as far as it helps to read less of it."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

Value = str | int
Values = Mapping[str, frozenset[Value]]
K = TypeVar("K")


class Conditions(msgspec.Struct, frozen=True):
    """What must be true of a row; there may be more to it.

    Attributes:
        equal: column -> the values that it may have; none at all where nothing can match.
        unequal: column -> values that it may not have.
    """

    equal: Values = {}
    unequal: Values = {}

    def allows(self, column: str, value: Value) -> bool:
        """Whether a row with this value may be wanted."""
        return value in self.equal.get(column, (value,)) and value not in self.unequal.get(column, ())

    def texts(self, column: str) -> frozenset[str] | None:
        """Return the values that a text column may have; None: any."""
        values = self.equal.get(column)
        return None if values is None else frozenset(value for value in values if isinstance(value, str))

    def numbers(self, column: str) -> frozenset[int] | None:
        """Return the values that a number column may have; None: any."""
        values = self.equal.get(column)
        return None if values is None else frozenset(value for value in values if isinstance(value, int))


def both(one: Conditions, other: Conditions) -> Conditions:
    """Return what must be true where both must."""
    equal = {**one.equal, **other.equal}
    for column in one.equal.keys() & other.equal.keys():
        equal[column] = one.equal[column] & other.equal[column]
    unequal = {**one.unequal, **other.unequal}
    for column in one.unequal.keys() & other.unequal.keys():
        unequal[column] = one.unequal[column] | other.unequal[column]
    return Conditions(equal, unequal)


def either(one: Conditions, other: Conditions) -> Conditions:
    """Return what must be true where one of two must."""
    equal = {column: one.equal[column] | other.equal[column] for column in one.equal.keys() & other.equal.keys()}
    unequal = {column: one.unequal[column] & other.unequal[column] for column in one.unequal.keys() & other.unequal.keys()}
    return Conditions(equal, unequal)


class Wanted(msgspec.Struct, frozen=True):
    """What one statement wants of one table.

    Attributes:
        columns: None: all.
        conditions: Rows for which they are not true are not wanted.
        limit: How many rows are enough, whichever they are; None: all.
    """

    columns: frozenset[str] | None = None
    conditions: Conditions = Conditions()
    limit: int | None = None

    def shows(self, column: str) -> bool:
        """Whether a column is wanted."""
        return self.columns is None or column in self.columns


EVERYTHING = Wanted()


def union(parts: Sequence[Wanted]) -> Wanted:
    """Return what several places of a statement want together of one table."""
    result = parts[0]
    for part in parts[1:]:
        columns = None if result.columns is None or part.columns is None else result.columns | part.columns
        result = Wanted(columns, either(result.conditions, part.conditions))
    return result
