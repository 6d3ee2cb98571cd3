"""SQL text as tokens, nested by parentheses. Nothing is lost: the texts of all tokens together are the statement."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

_TOKEN: Final = re.compile(
    r"""
    (?P<blank> \s+ | --[^\n]* | /\*.*?\*/ )
    | (?P<string> [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | \$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$ )
    | (?P<name> "(?:[^"]|"")*" )
    | (?P<parameter> \$\d+ )
    | (?P<number> \d+(?:\.\d+)?(?:[eE][+-]?\d+)? )
    | (?P<word> \w+ )
    | (?P<operator> :: | ->> | -> | [-+*/<>=~!@#%^&|`?]+ )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)

OPENING: Final = {"(": ")", "[": "]"}
_OPERANDS: Final = frozenset({"word", "name", "string", "number", "parameter", "atom"})
NO_OPERANDS: Final = frozenset(
    {
        *("select", "from", "where", "and", "or", "not", "in", "on", "join", "as", "case", "when", "then", "else", "end", "is"),
        *("between", "like", "ilike", "any", "all", "exists", "union", "by", "having", "limit"),
    }
)
"""Words that are no names."""


class Token(msgspec.Struct, frozen=True):
    """One token: its kind, its text, and the blanks and comments before it."""

    kind: str
    text: str
    before: str = ""

    @property
    def lower(self) -> str:
        """The text as names are compared: lower-case, quotes removed."""
        return self.text[1:-1] if self.kind == "name" else self.text.lower()


class Group(msgspec.Struct, frozen=True):
    """What stands between two parentheses or brackets."""

    opening: Token
    content: "list[Token | Group]"
    closing: str


Node = Token | Group


def tokens_of(sql: str) -> Iterator[Token]:
    """Yield the tokens of a text; blanks at its end are a token of their own."""
    before = ""
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup if match.lastgroup != "tag" else "string"
        assert kind is not None
        if match["string"] is not None:
            kind = "string"
        if kind == "blank":
            before += match[0]
            continue
        yield Token(kind, match[0], before)
        before = ""
    if before:
        yield Token("blank", before)


def nested(sql: str) -> list[Node]:
    """Return the tokens of a text in groups; a parenthesis without its partner is a token like others."""
    outermost: list[Node] = []
    stack: list[tuple[Token, list[Node]]] = []
    content = outermost
    for token in tokens_of(sql):
        if token.text in OPENING:
            stack.append((token, content))
            content = []
        elif stack and token.text == OPENING[stack[-1][0].text]:
            opening, around = stack.pop()
            around.append(Group(opening, content, token.before + token.text))
            content = around
        else:
            content.append(token)
    while stack:  # never closed: the engine will say so
        opening, around = stack.pop()
        content = [*around, opening, *content]
    return content if content is not outermost else outermost


def text_of(nodes: list[Node]) -> str:
    """Return the text of nodes."""
    return "".join(_text(node) for node in nodes)


def _text(node: Node) -> str:
    if isinstance(node, Token):
        return node.before + node.text
    return node.opening.before + node.opening.text + text_of(node.content) + node.closing


def take_operand(out: list[Node]) -> tuple[str, str]:
    """Take the expression at the end of `out`: a name, a literal, a call, or what stands in parentheses. Return blanks, text."""
    start = len(out)
    while start:
        node = out[start - 1]
        if isinstance(node, Token) and node.kind not in _OPERANDS and node.text != ".":
            break
        follows = out[start] if start < len(out) else None
        if isinstance(node, Token) and node.lower in NO_OPERANDS and node.kind == "word":
            break
        if follows is not None and not isinstance(follows, Group) and not _is_dot(follows) and not _is_dot(node):
            break
        start -= 1
    taken = out[start:]
    del out[start:]
    text = text_of(taken)
    stripped = text.lstrip()
    return text[: len(text) - len(stripped)], stripped


def _is_dot(node: Node) -> bool:
    return isinstance(node, Token) and node.text == "."
