"""Records survive their msgpack form, also one written before a field was added."""

import enum
import types
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.model import deployment, invocation, journal, target

RECORDS: list[type[msgspec.Struct]] = [
    journal.StoredEntry,
    journal.RunProposal,
    journal.AttemptError,
    invocation.InvocationRecord,
    target.Target,
    deployment.Deployment,
    deployment.Service,
]
PLAIN = {
    int: st.integers(0, (1 << 63) - 1),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    str: st.text(max_size=5),
    bytes: st.binary(max_size=5),
    type(None): st.none(),
    Any: st.none() | st.booleans(),
}


def values_of(annotation: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return values of a field's type; recursive records end after three levels."""
    annotation = getattr(annotation, "__supertype__", annotation)
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if annotation in PLAIN:
        return PLAIN[annotation]
    if origin in {typing.Union, types.UnionType}:
        return st.one_of([values_of(one, depth) for one in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.just(()) if depth > 3 else st.lists(values_of(arguments[0], depth), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*[values_of(one, depth) for one in arguments])
    if origin is list:
        return st.lists(values_of(arguments[0], depth), max_size=2)
    if origin is dict:
        return st.dictionaries(values_of(arguments[0], depth), values_of(arguments[1], depth), max_size=2)
    if issubclass(annotation, enum.Enum):
        return st.sampled_from(annotation)
    fields = typing.get_type_hints(annotation)
    return st.builds(annotation, **{name: values_of(kind, depth + 1) for name, kind in fields.items() if not name.startswith("_")})


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@given(data=st.data())
@settings(max_examples=30)
def test_a_record_survives_its_stored_form(record: type[msgspec.Struct], data: st.DataObject) -> None:
    value = data.draw(values_of(record))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=record) == value


def test_a_record_without_the_later_fields_is_read() -> None:
    stored = msgspec.msgpack.encode([["S", "h", None, 0], 2, 1_000, 2_000])
    record = msgspec.msgpack.decode(stored, type=invocation.InvocationRecord)
    assert record == invocation.InvocationRecord(
        target=target.Target("S", "h", None, target.HandlerType.PLAIN),
        status=invocation.Status.INVOKED,
        created_at_ms=1_000,
        modified_at_ms=2_000,
    )


def test_a_record_with_later_fields_is_read_without_them() -> None:
    stored = msgspec.msgpack.encode(["dp_1", 6, "a field of tomorrow"])
    assert msgspec.msgpack.decode(stored, type=invocation.Pin) == invocation.Pin("dp_1", 6)


def test_every_entry_has_a_tag_of_its_own() -> None:
    tags = [kind.__struct_config__.tag for kind in journal.Entry.__args__]
    assert len(set(tags)) == len(tags) == 22


@pytest.mark.parametrize(
    ("handler_type", "reads", "writes"),
    [
        (target.HandlerType.PLAIN, False, False),
        (target.HandlerType.EXCLUSIVE, True, True),
        (target.HandlerType.SHARED, True, False),
        (target.HandlerType.WORKFLOW, True, True),
    ],
)
def test_handler_types_have_their_access_to_state(handler_type: target.HandlerType, reads: bool, writes: bool) -> None:
    assert (handler_type.reads_state, handler_type.writes_state) == (reads, writes)


def test_only_services_have_no_key() -> None:
    assert [kind for kind in target.ServiceType if not kind.is_keyed] == [target.ServiceType.SERVICE]
