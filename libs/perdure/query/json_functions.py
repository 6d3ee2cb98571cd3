"""JSON in SQL: functions and operators as the real server has them. Source: shared/spec/sql.md, section 5.

A path of any length becomes calls that each take one step, `json_get_int(x, 'a', 0)` is `json_int(json_at(json_key(x, 'a'), 0))`, since the
engine's functions have a fixed number of arguments. What lies at a path is its text, not read any further.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from perdure.query.batches import pa
from perdure.query.tokens import Group, Node, Token, nested, take_operand, text_of

_FINDERS: Final = {
    "json_get": "",
    "json_get_json": "",
    "json_get_str": "json_str",
    "json_get_int": "json_int",
    "json_get_float": "json_float",
    "json_get_bool": "json_bool",
    "json_get_array": "json_array",
    "json_as_text": "json_text",
    "json_length": "json_size",
    "json_keys": "json_names",
    "json_object_keys": "json_names",
    "json_contains": "json_is_there",
}
"""Function -> what is done with what lies at its path."""
_OPERATORS: Final = {"->": "", "->>": "json_text", "?": "json_is_there"}
_MAY_USE_JSON: Final = re.compile(r"\bjson_|->|\?", re.IGNORECASE)

_Members = dict[str, msgspec.Raw]
_members: Final = msgspec.json.Decoder(_Members).decode
_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_value: Final = msgspec.json.Decoder(Any).decode


def with_json_calls(sql: str) -> str:
    """Return a statement whose JSON functions and operators are calls that the engine knows."""
    return text_of(_rewrite(nested(sql))) if _MAY_USE_JSON.search(sql) else sql


def uses_json(sql: str) -> bool:
    """Whether a statement calls any of the functions here."""
    return "json_" in sql


def _rewrite(nodes: list[Node]) -> list[Node]:
    out: list[Node] = []
    waiting = list(nodes)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, Group):
            content = _rewrite(node.content)
            before = out[-1] if out else None
            if isinstance(before, Token) and before.lower in _FINDERS and node.opening.text == "(":
                out.pop()
                document, *path = _arguments(content)
                out.append(Token("atom", _found(before.lower, document, path), before.before))
            else:
                out.append(Group(node.opening, content, node.closing))
        elif node.text in _OPERATORS and out and waiting:
            before, document = take_operand(out)
            key = text_of(_rewrite([waiting.pop(0)])).strip()
            step = _step(document, key)
            work = _OPERATORS[node.text]
            out.append(Token("atom", f"{work}({step})" if work else step, before))
        else:
            out.append(node)
    return out


def _arguments(content: list[Node]) -> list[str]:
    parts: list[list[Node]] = [[]]
    for node in content:
        if isinstance(node, Token) and node.text == ",":
            parts.append([])
        else:
            parts[-1].append(node)
    return [text_of(part).strip() for part in parts]


def _found(function: str, document: str, path: list[str]) -> str:
    for key in path:
        document = _step(document, key)
    work = _FINDERS[function]
    return f"{work}({document})" if work else document


def _step(document: str, key: str) -> str:
    return f"json_at({document}, {key})" if key.lstrip("-").isdecimal() else f"json_key({document}, {key})"


def _key(document: str, key: str) -> str | None:
    raw = _members(document).get(key)
    return None if raw is None else bytes(raw).decode()


def _at(document: str, index: int) -> str | None:
    items = _items(document)
    return bytes(items[index]).decode() if 0 <= index < len(items) else None


def _text(document: str) -> str | None:
    value = _value(document)
    return None if value is None else value if isinstance(value, str) else document


def _string(document: str) -> str | None:
    value = _value(document)
    return value if isinstance(value, str) else None


def _integer(document: str) -> int | None:
    value = _value(document)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(document: str) -> float | None:
    value = _value(document)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _bool(document: str) -> bool | None:
    value = _value(document)
    return value if isinstance(value, bool) else None


def _array(document: str) -> list[str] | None:
    return [bytes(item).decode() for item in _items(document)]


def _size(document: str) -> int | None:
    return len(_items(document) if document.lstrip().startswith("[") else _members(document))


def _names(document: str) -> list[str] | None:
    return list(_members(document))


def _is_there(column: Any) -> Any:
    return column.is_valid()


_FUNCTIONS: Final[dict[str, tuple[Callable[..., object], list[Any], Any]]] = {
    "json_key": (_key, [pa.string(), pa.string()], pa.string()),
    "json_at": (_at, [pa.string(), pa.int64()], pa.string()),
    "json_text": (_text, [pa.string()], pa.string()),
    "json_str": (_string, [pa.string()], pa.string()),
    "json_int": (_integer, [pa.string()], pa.int64()),
    "json_float": (_number, [pa.string()], pa.float64()),
    "json_bool": (_bool, [pa.string()], pa.bool_()),
    "json_array": (_array, [pa.string()], pa.list_(pa.string())),
    "json_size": (_size, [pa.string()], pa.uint64()),
    "json_names": (_names, [pa.string()], pa.list_(pa.string())),
}


def json_functions(make: Callable[..., Any]) -> list[Any]:
    """Return the functions as the engine takes them; `make` is its constructor of functions."""
    found = [make(_by_row(work, result), kinds, result, "immutable", name) for name, (work, kinds, result) in _FUNCTIONS.items()]
    is_there = make(_is_there, [pa.string()], pa.bool_(), "immutable", "json_is_there")
    return [*found, is_there]


def _by_row(work: Callable[..., object], result: Any) -> Callable[..., Any]:
    def one(*row: Any) -> object:
        if any(value is None for value in row):
            return None
        try:
            return work(*row)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # text that is no JSON, or of another shape, has nothing at any path

    def run(*columns: Any) -> Any:
        return pa.array([one(*row) for row in zip(*(column.to_pylist() for column in columns), strict=True)], type=result)

    return run
