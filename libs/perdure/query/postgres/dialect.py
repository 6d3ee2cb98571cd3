"""Rewrites statements of PostgreSQL clients to what the engine understands, by their tokens.

The engine parses PostgreSQL's grammar, but knows no casts to `regclass` and the like, no operators with a schema, no collations, and no
correlated subquery that is not an aggregate. Source: shared/spec/sql.md, section 7.1, and the statements that clients were seen to send.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from perdure.query.postgres.catalogue import CATALOGUE_TABLES, EMPTY_TABLES
from perdure.query.postgres.functions import BY_ARITY, FUNCTIONS
from perdure.query.tokens import NO_OPERANDS, Group, Node, Token, nested, take_operand, text_of
from perdure.query.wire import REPEATED

_WORD_KINDS: Final = frozenset({"word", "name"})
_FUNCTION_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema"})
_CALLED_WITHOUT_PARENTHESES: Final = frozenset({"current_user", "session_user", "current_catalog", "current_schema"})
_AGGREGATES: Final = frozenset({"count", "max", "min", "sum", "array_agg", "string_agg", "bool_and", "bool_or", "first_value"})
_CLAUSES: Final = frozenset({"select", "from", "where", "group", "order", "having", "limit", "on"})
_SUBQUERY_PLACES: Final = frozenset({"in", "exists", "any", "all", "some", "from", "join", "as", "lateral", "union", "except"})
_TYPES_AS: Final = {
    **dict.fromkeys(("name", "char", "bpchar", "cstring", "regproc", "regprocedure", "regoper", "regoperator", "regrole"), "VARCHAR"),
    **dict.fromkeys(("sql_identifier", "character_data", "yes_or_no", "pg_node_tree", "aclitem", "unknown"), "VARCHAR"),
    **dict.fromkeys(("oid", "xid", "cardinal_number"), "BIGINT"),
    "json": "VARCHAR",
    "jsonb": "VARCHAR",
}
_AFTER_LIST: Final = frozenset({"from", "where", "group", "order", "union", "except", "intersect", "limit"})
_NAMED_TYPES: Final = frozenset({"regclass", "regtype", "regnamespace"})
_NULL: Final = Token("atom", "NULL")
_NO_TEXTS: Final = Token("atom", "CAST(NULL AS VARCHAR[])")
_TWO_WORDS: Final = {"double": ("precision",), "character": ("varying",), "timestamp": ("with", "without"), "time": ("with", "without")}


_TYPE_TREE: Final = """
SELECT t.oid, n.nspname AS ns, t.typname AS name, t.typtype AS kind, CAST(NULL AS BIGINT) AS basetype, NULLIF(t.typelem, 0) AS elemtype,
    t.typdelim AS elemdelim, CAST(NULL AS BIGINT) AS range_subtype, CAST(NULL AS VARCHAR[]) AS attrtypoids,
    CAST(NULL AS VARCHAR[]) AS attrnames, CASE t.typelem WHEN 0 THEN 1 ELSE 0 END AS depth, CAST(NULL AS VARCHAR) AS basetype_name,
    regtype_name(NULLIF(t.typelem, 0)) AS elemtype_name, CAST(NULL AS VARCHAR) AS range_subtype_name
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE array_has(CAST($1 AS BIGINT[]), t.oid)
    OR t.oid IN (SELECT a.typelem FROM pg_catalog.pg_type a WHERE array_has(CAST($1 AS BIGINT[]), a.oid)) ORDER BY depth DESC
"""
"""What asyncpg wants to know of types that it has no codec for. It walks trees of types; those here are at most arrays of others."""


def rewritten(sql: str) -> str:
    """Return a statement as the engine takes it."""
    if "typeinfo_tree" in sql:
        return _TYPE_TREE
    return text_of(_rewrite(nested(sql)))


class _Scope(msgspec.Struct, frozen=True):
    """Where in a statement something stands: after which word, and whether the SELECT around it can have no rows."""

    clause: str = ""
    is_void: bool = False


_OUTERMOST: Final = _Scope()


def _rewrite(nodes: list[Node], scope: _Scope = _OUTERMOST) -> list[Node]:
    out: list[Node] = []
    if nodes and _is_word(nodes[0], "select"):
        scope = _Scope("select", is_void=_is_void(nodes))
    at = 0
    while at < len(nodes):
        node = nodes[at]
        if isinstance(node, Group):
            out.append(_group(node, out, scope))
            at += 1
            continue
        if node.kind == "word" and node.lower in _CLAUSES:
            scope = msgspec.structs.replace(scope, clause=node.lower)
        elif scope.clause == "from" and node.kind == "word" and _ends_with_unnest(out):
            node = nodes[at] = Token("atom", f"{node.text}({node.text})", node.before)  # the alias names the column as well
        at += _token(nodes, at, out)
    return _with_distinct_names(out)


def _token(nodes: list[Node], at: int, out: list[Node]) -> int:
    """Put what stands for the token at `at` to `out`, and return how many nodes that took."""
    node = nodes[at]
    assert isinstance(node, Token)
    following = nodes[at + 1] if at + 1 < len(nodes) else None
    if node.text == "'{0}'":
        out.append(Token("atom", "make_array(0)", node.before))
        return 1
    if node.text == "::":
        return _cast(nodes, at, out)
    if node.kind == "word" and node.lower == "operator" and isinstance(following, Group):
        operator = following.content[-1]
        out.append(Token("operator", text_of([operator]), node.before or " "))
        return 2
    if node.kind == "word" and node.lower == "collate" and not (out and _is_word(out[-1], "as")):
        return _length_of_name(nodes, at + 1) + 1
    if node.text == "." and isinstance(following, Token) and _ends_with_group(out):
        out.append(Token("atom", f"get_field({text_of([out.pop()]).strip()}, '{following.lower}')", " "))
        return 2
    if node.kind == "word" and node.lower == "escape" and isinstance(following, Token):
        _move_escape(out, following)
        return 2
    if node.lower in _FUNCTION_SCHEMAS and _is_text(following, ".") and _calls_function(nodes, at + 2):
        called = nodes[at + 2]
        out.append(msgspec.structs.replace(called, before=node.before) if isinstance(called, Token) else called)
        return 3
    is_bare = not (out and _is_text(out[-1], ".")) and not _is_text(following, ".")
    if node.kind == "word" and is_bare and node.lower in _CALLED_WITHOUT_PARENTHESES and not isinstance(following, Group):
        out.append(Token("atom", f'"{node.lower}"()', node.before))
    elif is_bare and node.kind in _WORD_KINDS and node.lower in CATALOGUE_TABLES and not isinstance(following, Group):
        out.append(Token("atom", f"pg_catalog.{node.text}", node.before) if _names_table(out) else node)
    else:
        out.append(node)
    return 1


def _names_table(out: list[Node]) -> bool:
    return bool(out) and (_is_text(out[-1], ",") or (isinstance(out[-1], Token) and out[-1].lower in {"from", "join", "lateral", "only"}))


def _move_escape(out: list[Node], escape: Token) -> None:
    """Replace the escape character of the pattern at the end of `out` by the one that the engine takes."""
    start = next((at for at in reversed(range(len(out))) if _is_word(out[at], "like") or _is_word(out[at], "ilike")), len(out) - 1) + 1
    pattern = text_of(out[start:])
    del out[start:]
    out.append(Token("atom", f" replace({pattern}, {escape.text}, '\\')"))


def _ends_with_group(out: list[Node]) -> bool:
    """Whether an expression in parentheses ends `out` that is no call."""
    if not out or not isinstance(out[-1], Group) or out[-1].opening.text != "(":
        return False
    before = out[-2] if len(out) > 1 else None
    return not isinstance(before, Token) or before.kind not in _WORD_KINDS or before.lower in NO_OPERANDS


def _ends_with_unnest(out: list[Node]) -> bool:
    return len(out) > 1 and isinstance(out[-1], Group) and _is_word(out[-2], "unnest")


def _is_word(node: Node | None, word: str) -> bool:
    return isinstance(node, Token) and node.kind in _WORD_KINDS and node.lower == word


def _number(node: Node) -> Node:
    """Return a number that is written as text, as an object's identifier may be, as a number."""
    is_text = isinstance(node, Token) and node.kind == "string" and node.text.strip("'").isdecimal()
    return Token("number", node.text.strip("'"), node.before) if is_text and isinstance(node, Token) else node


def _is_text(node: Node | None, text: str) -> bool:
    return isinstance(node, Token) and node.text == text


def _calls_function(nodes: list[Node], at: int) -> bool:
    return at + 1 < len(nodes) and isinstance(nodes[at], Token) and isinstance(nodes[at + 1], Group)


def _length_of_name(nodes: list[Node], at: int) -> int:
    """Return how many nodes a name takes, with the schemas before it."""
    length = 1
    while _is_text(nodes[at + length] if at + length < len(nodes) else None, "."):
        length += 2
    return length


# ---- casts


def _cast(nodes: list[Node], at: int, out: list[Node]) -> int:
    length = _length_of_name(nodes, at + 1)
    last = nodes[at + length] if at + length < len(nodes) else None
    if not isinstance(last, Token) or last.kind not in _WORD_KINDS:
        out.append(nodes[at])
        return 1
    name, type_text = last.lower, last.lower if last.kind == "name" else last.text
    end = at + 1 + length
    while end < len(nodes) and _continues_type(name, nodes[end]):
        type_text += text_of([nodes[end]])
        end += 1
    is_array = "[" in type_text
    before, operand = take_operand(out)
    out.append(Token("atom", _converted(operand, name, type_text, is_array=is_array), before))
    return end - at


def _continues_type(name: str, node: Node) -> bool:
    if isinstance(node, Group):
        return True
    return node.lower in _TWO_WORDS.get(name, ()) or (name in {"timestamp", "time"} and node.lower in {"time", "zone"})


def _cast_called(content: list[Node]) -> str | None:
    """Return what stands for `CAST(x AS t)`; None where the engine knows `t`."""
    at = next((at for at, node in enumerate(content) if _is_word(node, "as")), len(content))
    named = content[-1] if content else None
    if at == len(content) or not isinstance(named, Token):
        return None
    is_qualified = at + 3 < len(content) and _is_text(content[-2], ".")
    if named.lower not in _TYPES_AS.keys() | _NAMED_TYPES and not is_qualified:
        return None
    return _converted(text_of(content[:at]).strip(), named.lower, named.text, is_array=False)


def _converted(operand: str, name: str, type_text: str, *, is_array: bool) -> str:
    if is_array and operand.startswith("'"):
        return _list_of(operand)
    if is_array and name in _TYPES_AS.keys() | _NAMED_TYPES:
        return f"CAST({operand} AS {_TYPES_AS.get(name, 'VARCHAR')}[])"
    is_named = operand.startswith(("'", "$"))
    match name:
        case _ if name in _NAMED_TYPES:
            return f"{name}_oid(CAST({operand} AS VARCHAR))" if is_named else f"{name}_name({operand})"
        case "oid" if operand.startswith(("regclass_", "regtype_", "regnamespace_")):
            kind, _, argument = operand.partition("_")
            return f"{kind}_oid(CAST({argument.partition('(')[2][:-1]} AS VARCHAR))" if argument.startswith("name") else operand
        case _ if name in _TYPES_AS:
            return f"CAST({operand} AS {_TYPES_AS[name]})"
        case _:
            return f"{operand}::{type_text}"


def _list_of(literal: str) -> str:
    """Return what stands for a literal as `'{a,b}'`."""
    return f"string_to_array(btrim({literal}, '{{}}'), ',')"


# ---- groups: calls and subqueries


def _group(group: Group, out: list[Node], scope: _Scope) -> Node:
    before = out[-1] if out else None
    content = _rewrite(group.content, scope)
    rewritten_group = Group(group.opening, content, group.closing)
    if group.opening.text != "(":
        return rewritten_group
    word = before.lower if isinstance(before, Token) and before.kind in _WORD_KINDS else ""
    is_select = bool(content) and _is_word(content[0], "select")
    if is_select:
        return _subquery(rewritten_group, word, out, scope, reads_nothing=scope.is_void or _reads_nothing(group.content))
    if word == "cast" and (converted := _cast_called(content)) is not None:
        blank = out.pop()
        return Token("atom", converted, blank.before if isinstance(blank, Token) else "")
    if word in FUNCTIONS and FUNCTIONS[word][0] == ("int",):
        content[:] = [_number(node) for node in content]
    if word == "unnest" and "".join(text_of(content).split()) == "(NULL)":
        content[:] = [_NO_TEXTS]
    if word in {"any", "all"} and len(content) == 1 and (literal := text_of(content).strip()).startswith("'{"):
        content[:] = [Token("atom", _list_of(literal))]
    if word in BY_ARITY and isinstance(before, Token):
        arguments = sum(_is_text(node, ",") for node in content) + 1 if content else 0
        out[-1] = Token("word", f"{word}_{arguments}", before.before)
    elif word in _SPECIAL_FUNCTIONS and isinstance(before, Token):
        return _SPECIAL_FUNCTIONS[word](out, before, content)
    return rewritten_group


def _subquery(group: Group, word: str, out: list[Node], scope: _Scope, *, reads_nothing: bool) -> Node:
    """Return what stands for a subquery: one that reads a table which is always empty needs no plan, others are aggregated."""
    if word == "array":
        before = out.pop()
        assert isinstance(before, Token)
        content = _aggregated(group.content, "array_agg")
        return Group(Token("other", "(", before.before), [_NO_TEXTS] if reads_nothing else content, group.closing)
    if word == "in" and _lists_search_path(group.content):
        return Group(group.opening, [Token("atom", "current_schema()")], group.closing)
    if word == "exists" and reads_nothing:
        before = out.pop()
        assert isinstance(before, Token)
        return Token("atom", "false", before.before)
    if word in _SUBQUERY_PLACES or scope.clause in {"", "from"} or not _reads_catalogue(group.content):
        return group
    return Group(group.opening, [_NULL] if reads_nothing else _aggregated(group.content, "max"), group.closing)


def _subscripts(out: list[Node], before: Token, content: list[Node]) -> Node:
    first = content[: next((at for at, node in enumerate(content) if _is_text(node, ",")), len(content))]
    out[-1] = Token("word", "unnest", before.before)
    return Group(Token("other", "("), [Token("atom", f"array_subscripts({text_of(first)})")], ")")


def _upper(out: list[Node], before: Token, content: list[Node]) -> Node:
    if not text_of(content).lstrip().startswith("current_schemas"):
        out[-1] = Token("word", "array_length", before.before)
        return Group(Token("other", "("), content, ")")
    out.pop()  # the engine's generate_series takes only literals
    return Token("atom", "2" if "true" in text_of(content) else "1", before.before)


def _keywords(out: list[Node], before: Token, _content: list[Node]) -> Node:
    out.pop()
    return Token("atom", "pg_catalog.pg_get_keywords", before.before)


_SPECIAL_FUNCTIONS: Final[dict[str, Callable[[list[Node], Token, list[Node]], Node]]] = {
    "generate_subscripts": _subscripts,
    "array_upper": _upper,
    "pg_get_keywords": _keywords,
}


def _aggregated(content: list[Node], aggregate: str) -> list[Node]:
    """Return a subquery with its one column aggregated; an order goes into the aggregate."""
    clauses = {node.lower: at for at, node in reversed(list(enumerate(content))) if isinstance(node, Token) and node.lower in _CLAUSES}
    end_of_item = clauses.get("from", len(content))
    item = content[1:end_of_item]
    if _has_aggregate(item) or "group" in clauses or "union" in _words(content):
        return content
    alias_at = next((at for at, node in enumerate(item) if _is_word(node, "as")), len(item))
    end = min(clauses.get("order", len(content)), clauses.get("limit", len(content)))
    order = content[clauses["order"] : clauses.get("limit", len(content))] if "order" in clauses and aggregate == "array_agg" else []
    expression = text_of(item[:alias_at]).strip()
    call = Token("atom", f" {aggregate}({expression}{text_of(order)})")
    return [content[0], call, *item[alias_at:], *content[end_of_item:end]]


def _is_void(nodes: list[Node]) -> bool:
    """Whether each SELECT among nodes reads first a table that is always empty."""
    words = [node.lower for node in nodes if isinstance(node, Token) and node.kind in _WORD_KINDS]
    firsts = [words[at + 1 : at + 3] for at, word in enumerate(words) if word == "from"]
    return bool(firsts) and all(not EMPTY_TABLES.isdisjoint(first[: 1 + (first[:1] == ["pg_catalog"])]) for first in firsts)


def _with_distinct_names(nodes: list[Node]) -> list[Node]:
    """Name expressions that a list has twice: the engine insists on different names, PostgreSQL does not."""
    out: list[Node] = []
    at = 0
    while at < len(nodes):
        out.append(nodes[at])
        at += 1
        if _is_word(out[-1], "select"):
            end = next((i for i in range(at, len(nodes)) if isinstance(node := nodes[i], Token) and node.lower in _AFTER_LIST), len(nodes))
            out += _distinct(nodes[at:end])
            at = end
    return out


def _distinct(items: list[Node]) -> Iterator[Node]:
    stars = {"".join(text.split())[:-1] for text in text_of(items).split(",") if text.rstrip().endswith("*")}
    seen: set[str] = set()
    item: list[Node] = []
    for at, node in enumerate([*items, None]):
        if node is not None and not _is_text(node, ","):
            item.append(node)
            continue
        text = text_of(item).strip()
        if _is_among(stars, item) and isinstance(item[-1], Token):
            item.append(Token("atom", f' AS "{item[-1].lower}{REPEATED}{at}"'))
        elif text in seen and "as" not in _words(item):
            item.append(Token("atom", f' AS "?column?{at}"'))
        seen.add(text)
        yield from item
        item = []
        if node is not None:
            yield node


def _is_among(stars: set[str], item: list[Node]) -> bool:
    """Whether an item is a column that `*` or `t.*` beside it returns as well; `stars` has what stands before each star."""
    if not stars or len(item) not in {1, 3} or any(not isinstance(node, Token) for node in item) or not _is_name(item[-1]):
        return False
    qualifier = text_of(item[:-1]).strip()
    return "" in stars or (qualifier in stars and qualifier != "")


def _is_name(node: Node) -> bool:
    return isinstance(node, Token) and node.kind in _WORD_KINDS and node.lower not in NO_OPERANDS


def _reads_nothing(content: list[Node]) -> bool:
    words = [node.lower for node in content if isinstance(node, Token)]
    if not words or "from" not in words or not {"left", "union", "group"}.isdisjoint(words) or _has_aggregate(content[1:]):
        return False
    sources = words[words.index("from") + 1 :]
    return not EMPTY_TABLES.isdisjoint(sources) or "unnest" in sources[:3]


def _has_aggregate(nodes: list[Node]) -> bool:
    return any(isinstance(node, Token) and node.lower in _AGGREGATES for node in nodes)


def _reads_catalogue(content: list[Node]) -> bool:
    return any(isinstance(node, Token) and node.text.lower().startswith("pg_") for node in content)


def _lists_search_path(content: list[Node]) -> bool:
    """Whether a subquery cuts the search path into names, as Grafana does: the engine's generate_series takes only literals."""
    text = text_of(content)
    return "generate_series" in text and "'search_path'" in text


def _words(nodes: list[Node]) -> set[str]:
    return {node.lower for node in nodes if isinstance(node, Token)}
