"""JSON schemas as messages: what a handler takes and gives, there and back."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.codec.descriptors.errors import BadMessage
from perdure.model.deployment import Handler, HandlerOptions, InputRules, OutputRules, Service
from perdure.model.target import HandlerType, ServiceType
from services.ingress.rpc.schemas import NUMBER_MIN, NUMBERS, field_number
from services.ingress.rpc.today import Body, Form, TodayService, rpc_name

UNSAID = object()


def described(schema: Any = UNSAID, *, keyed: bool = False, name: str = "Greeter", **options: Any) -> TodayService:
    rules = (None, None) if schema is UNSAID else (_rules(InputRules, schema), _rules(OutputRules, schema))
    kind = ServiceType.VIRTUAL_OBJECT if keyed else ServiceType.SERVICE
    handler = Handler("greet", HandlerType.PLAIN, *rules, HandlerOptions(**options))
    return TodayService(Service(name, kind, 1, "dp_1", {"greet": handler}))


def _rules(kind: type[Any], schema: Any) -> Any:
    return kind(content_type="application/json", json_schema=schema)


def bodies(schema: Any = UNSAID, *, keyed: bool = False) -> tuple[Body, Body]:
    return described(schema, keyed=keyed).bodies("greet")


def there_and_back(schema: Any, value: Any) -> Any:
    request, response = bodies(schema)
    key, body = request.read(response.write(json.dumps(value).encode()))
    assert key is None
    return json.loads(body)


PERSON = {
    "type": "object",
    "required": ["name", "friends"],
    "properties": {
        "name": {"type": "string"},
        "first-name": {"type": "string"},
        "age": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "size": {"type": "number"},
        "is_known": {"type": "boolean"},
        "color": {"enum": ["red", "blue"]},
        "friends": {"type": "array", "items": {"$ref": "#/$defs/Friend"}},
        "scores": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
        "holes": {"type": "array", "items": {"type": ["integer", "null"]}},
        "notes": {"type": "object"},
        "place": {"type": "object", "properties": {"street": {"type": "string"}}},
        "anything": {},
        "_name": {"type": "string"},
    },
    "$defs": {"Friend": {"type": "object", "properties": {"name": {"type": "string"}, "best": {"$ref": "#/$defs/Friend"}}}},
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "Ada"),
        ({"type": "string"}, ""),
        ({"type": "integer"}, -5),
        ({"type": "integer"}, 0),
        ({"type": "number"}, 2.5),
        ({"type": "boolean"}, False),
        ({"type": "array", "items": {"type": "string"}}, ["a", ""]),
        ({"type": "array"}, [1, None, {"a": []}]),
        ({"type": "object"}, {"a": 1, "b": [None, True, "x", 1.5]}),
        ({}, {"a": {}}),
        (True, "Ada"),
        ({"$ref": "#/$defs/N", "$defs": {"N": {"type": "integer"}}}, 7),
        ({"$ref": "#/$defs/P", "$defs": {"P": PERSON, **PERSON["$defs"]}}, {"name": "x", "friends": []}),
        (PERSON, {"name": "Ada", "friends": []}),
        (
            PERSON,
            {
                "name": "",
                "first-name": "A",
                "age": 0,
                "size": 1.25,
                "is_known": False,
                "color": "red",
                "friends": [{"name": "Bo", "best": {"name": "Cy"}}, {}],
                "scores": [[1], []],
                "holes": [1, None],
                "notes": {"a": None},
                "place": {},
                "anything": [1],
                "_name": "u",
            },
        ),
    ],
)
def test_a_body_comes_back_as_it_was(schema: Any, value: Any) -> None:
    assert there_and_back(schema, value) == value


NODE = {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}
TREE = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "required": ["value", "left", "children"],
            "properties": {
                "value": {"type": "integer"},
                "left": NODE,
                "right": NODE,
                "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
                "slots": {"type": "array", "items": {"$ref": "#/$defs/Slot"}},
            },
        },
        "Slot": NODE,
    },
}


def test_a_tree_has_one_message_for_its_nodes_and_comes_back() -> None:
    leaf = {"value": 0, "left": None, "children": []}
    tree = {"value": 1, "left": leaf, "right": {**leaf, "left": leaf}, "children": [leaf], "slots": [None, leaf]}
    assert there_and_back(TREE, tree) == tree
    names = [field.message_type.name for field in bodies(TREE)[0].message_class.DESCRIPTOR.fields if field.message_type is not None]
    assert names == ["Greeter_GreetRequest_Node", "Greeter_GreetRequest_Node", "Greeter_GreetRequest_Node", "Value"]


def test_the_depth_of_a_schema_is_bounded_and_what_lies_deeper_is_any_value() -> None:
    schema: dict[str, Any] = {"type": "string"}
    value: Any = "deep"
    for _ in range(40):
        schema, value = {"type": "object", "properties": {"in": schema}}, {"in": value}
    assert there_and_back(schema, value) == value
    definitions = {f"D{n}": {"type": "object", "properties": {"in": {"$ref": f"#/$defs/D{n + 1}"}}} for n in range(40)}
    assert there_and_back({"$ref": "#/$defs/D0", "$defs": definitions}, value) == value


@pytest.mark.parametrize(
    "schema",
    [
        {"type": ["integer", "null"]},
        {"anyOf": [{"type": "integer"}, {"type": "null", "title": "nothing"}]},
        {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/P"}]},
        {"$ref": "#/$defs/N"},
        {"enum": ["a", None]},
        {"const": None},
        {},
        True,
    ],
)
def test_a_property_that_must_be_there_is_null_while_its_field_is_unset(schema: Any) -> None:
    definitions = {"P": PERSON, "N": {"type": ["string", "null"]}}
    whole = {"type": "object", "required": ["a"], "properties": {"a": schema, "b": schema}, "$defs": definitions}
    assert there_and_back(whole, {"a": None}) == {"a": None}


@pytest.mark.parametrize("schema", [{"type": "integer"}, {"enum": [1]}, {"const": "a"}, {"$ref": "#/$defs/Loop"}, {"properties": {}}])
def test_a_property_that_cannot_be_null_is_absent_while_its_field_is_unset(schema: Any) -> None:
    definitions = {"Loop": {"anyOf": [{"$ref": "#/$defs/Loop"}, {"$ref": "#/$defs/Loop"}]}}
    assert there_and_back({"type": "object", "required": ["a"], "properties": {"a": schema}, "$defs": definitions}, {}) == {}


def test_an_object_or_null_is_told_from_an_empty_object() -> None:
    schema = {"type": ["object", "null"], "properties": {"a": {"type": "string"}}}
    assert [there_and_back(schema, value) for value in ({}, {"a": "b"})] == [{}, {"a": "b"}]
    request, response = bodies(schema)
    assert request.read(response.write(b"null")) == (None, b"")


def test_any_name_of_a_property_comes_back() -> None:
    names = ["", "a-b", "a_b", "a b", "1a", "_1a", "gr\u00f6\u00dfe", "a.b", "[a]", "key", "aB", "a__b"]
    value = dict.fromkeys(names, "x")
    assert there_and_back({"type": "object", "properties": {name: {"type": "string"} for name in names}}, value) == value


@pytest.mark.parametrize("further", [True, {}, {"type": "string"}])
def test_an_object_with_further_properties_keeps_them(further: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": further}
    assert there_and_back(schema, {"a": "b", "c": "d"}) == {"a": "b", "c": "d"}


A = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    "schema",
    [
        {**A, "patternProperties": {"^b": {}}},
        {**A, "allOf": [{"properties": {"b": {"type": "string"}}}]},
        {"$ref": "#/$defs/A", "properties": {"b": {"type": "string"}}, "$defs": {"A": A}},
        {"anyOf": [A], "oneOf": [{"properties": {"b": {"type": "string"}}}]},
        {"allOf": [A, {"properties": {"b": {"type": "string"}}}]},
        {"anyOf": [A, {"type": "object", "properties": {"b": {"type": "string"}}}]},
    ],
)
def test_an_object_whose_properties_are_said_in_several_places_keeps_them(schema: Any) -> None:
    assert there_and_back(schema, {"a": "x", "b": "y"}) == {"a": "x", "b": "y"}


def test_an_object_or_something_else_is_any_value() -> None:
    schema = {"type": ["object", "string"], "properties": {"a": {}}}
    assert [there_and_back(schema, value) for value in ("x", {"a": 1})] == ["x", {"a": 1}]


def test_a_reference_may_lead_through_a_list() -> None:
    schema = {"type": "object", "properties": {"a": {"anyOf": [{"type": "integer"}]}, "b": {"$ref": "#/properties/a/anyOf/0"}}}
    assert there_and_back(schema, {"b": 2**60}) == {"b": 2**60}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("schema", [{"type": "number"}, {"type": "array", "items": {"type": "number"}}, {}])
def test_a_number_that_json_does_not_have_is_refused(schema: Any, number: float) -> None:
    request, _ = bodies(schema)
    message: Any = request.message_class()
    if schema == {}:
        message.body.number_value = number
    elif "items" in schema:
        message.body.append(number)
    else:
        message.body = number
    with pytest.raises(BadMessage, match="number of JSON"):
        request.read(message.SerializeToString())


def test_what_is_null_is_absent() -> None:
    assert there_and_back(PERSON, {"name": "a", "age": None, "friends": None}) == {"name": "a", "friends": []}


def test_properties_that_the_schema_does_not_name_are_left_out() -> None:
    assert there_and_back(PERSON, {"name": "a", "other": 1, "friends": []}) == {"name": "a", "friends": []}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string"}, b"5"),
        ({"type": "integer"}, b"1.5"),
        ({"type": "integer"}, b"99999999999999999999"),
        ({"type": "integer"}, b"true"),
        ({"type": "number"}, b"true"),
        ({"type": "number"}, b"1" + b"0" * 400),
        ({}, b"1" + b"0" * 400),
        ({"type": "boolean"}, b"1"),
        ({"type": "array", "items": {"type": "string"}}, b"[null]"),
        ({"type": "array", "items": {"type": "string"}}, b'"a"'),
        ({"type": "object"}, b"[]"),
        (PERSON, b"[]"),
        (PERSON, b'{"friends":[1]}'),
        (PERSON, b'{"place":"x"}'),
        (PERSON, b"{"),
    ],
)
def test_a_result_that_does_not_fit_is_refused(schema: Any, text: bytes) -> None:
    with pytest.raises(BadMessage):
        bodies(schema)[1].write(text)


def test_a_number_without_fraction_is_an_integer() -> None:
    assert there_and_back({"type": "integer"}, 3.0) == 3


def test_a_body_without_schema_is_bytes() -> None:
    request, response = bodies()
    assert request.form is Form.RAW
    assert request.read(response.write(b"\xff\x00"))[1] == b"\xff\x00"


def test_a_handler_without_input_and_output_has_empty_messages() -> None:
    handler = Handler("greet", HandlerType.PLAIN, InputRules(), OutputRules())
    request, response = TodayService(Service("S", ServiceType.SERVICE, 1, "dp_1", {"greet": handler})).bodies("greet")
    assert request.read(b"") == (None, b"")
    assert response.write(b"") == b""


def test_an_unset_body_is_none_at_all() -> None:
    request, response = bodies({"type": "string"})
    assert request.read(b"") == (None, b"")
    assert response.write(b"") == response.write(b"null") == b""


@pytest.mark.parametrize("schema", [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "string"}}}, UNSAID])
def test_the_key_of_an_object_is_field_one(schema: Any) -> None:
    request, _ = bodies(schema, keyed=True)
    message = request.message_class()
    setattr(message, request.message_class.DESCRIPTOR.fields_by_number[1].name, "k")
    assert request.read(message.SerializeToString())[0] == "k"
    assert request.read(b"")[0] == ""


def test_a_property_named_key_stays_beside_the_key_of_the_object() -> None:
    request, _ = bodies({"type": "object", "properties": {"key": {"type": "string"}}}, keyed=True)
    message = request.message_class(instance_key="k", key="p")
    assert request.read(message.SerializeToString()) == ("k", b'{"key":"p"}')


def test_field_numbers_do_not_depend_on_other_properties() -> None:
    def numbers(schema: dict[str, Any]) -> dict[str, int]:
        return {field.json_name: field.number for field in bodies(schema)[0].message_class.DESCRIPTOR.fields}

    fewer = {"type": "object", "properties": {name: {"type": "string"} for name in ("b", "d")}}
    more = {"type": "object", "properties": {name: {"type": "string"} for name in ("d", "c", "b", "a")}}
    assert numbers(fewer).items() <= numbers(more).items()


def test_two_names_with_one_number_get_two() -> None:
    taken = {field_number("a", set())}
    assert field_number("a", taken) == NUMBER_MIN + (min(taken) - NUMBER_MIN + 1) % NUMBERS


@pytest.mark.parametrize(
    ("service", "name"), [("Greeter", "Greeter"), ("a.b.C", "a.b.C"), ("my-svc", "my_svc"), ("a.1b", None), ("a..b", None), ("", None)]
)
def test_a_service_has_its_name_in_protobuf_where_it_can(service: str, name: str | None) -> None:
    assert rpc_name(service) == name


def test_a_handler_that_says_so_has_no_side_effects() -> None:
    for metadata, expected in (({"idempotency_level": "NO_SIDE_EFFECTS"}, True), ({}, False)):
        service = described({"type": "string"}, metadata=metadata)
        assert service.descriptors.service("Greeter").methods["greet"].has_no_side_effects is expected


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
schemas = st.recursive(
    st.sampled_from(
        [{}, {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": ["boolean", "null"]}, {"type": "object"}, {"enum": [1]}]
    ),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda properties: {"type": "object", "properties": properties}, st.dictionaries(names, inner, max_size=4))
        | st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, max_size=2))
    ),
    max_leaves=8,
)


@given(values)
def test_any_json_comes_back_where_the_schema_allows_anything(value: Any) -> None:
    if value is not None:
        assert there_and_back({}, value) == value


@settings(max_examples=150)
@given(schemas, values, st.booleans())
def test_any_schema_makes_messages_that_hold_a_value_or_refuse_it(schema: Any, value: Any, keyed: bool) -> None:
    request, response = bodies(schema, keyed=keyed)
    try:
        message = response.write(json.dumps(value).encode())
    except BadMessage:
        return
    assert response.message_class.FromString(message).SerializeToString() is not None
    request.read(b"")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["type", "properties", "items", "$ref", "anyOf", "required", "enum", "$defs", "a"]), inner)
        ),
        max_leaves=10,
    )
)
def test_a_schema_that_is_nonsense_makes_messages_all_the_same(schema: Any) -> None:
    assert bodies(schema)[0].message_class.DESCRIPTOR.full_name
