"""Header fields between the text of the interface and the bytes of the wire. Pure."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from perdure.deployments.interface import HeaderList

CONNECTION_HEADERS: Final = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "content-length"})
"""Headers that belong to the connection: nobody may set them from outside."""

KEY_HEADER: Final = "x-restate-service-key"
"""Holds the percent-encoded key of the object or workflow; absent where the target has none."""


def encode_headers(
    authority: bytes, headers: HeaderList, additional: dict[str, str], identity: HeaderList | tuple[()] = ()
) -> list[tuple[bytes, bytes]]:
    """Return the header fields of a request as bytes; `additional` replaces what has the same name, `identity` replaces that."""
    if not additional:
        return [(b"host", authority), *((name.encode(), value.encode()) for name, value in (*headers, *identity))]
    merged = merge_headers([("host", authority.decode()), *headers], additional, identity)
    return [(name.encode(), value.encode()) for name, value in merged]


def merge_headers(headers: HeaderList, additional: dict[str, str], identity: HeaderList | tuple[()] = ()) -> HeaderList:
    """Return the header fields of a request, each name once: `additional` wins over `headers`, `identity` over both."""
    extra = {name.lower(): value.strip() for name, value in additional.items()}
    merged = {**dict(headers), **extra, **dict(identity)}
    return [(name, value) for name, value in merged.items() if name not in CONNECTION_HEADERS]


def text_headers(headers: Iterable[tuple[bytes, bytes]]) -> HeaderList:
    """Return `headers` as text, names in lower case."""
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]


def key_in(headers: HeaderList) -> str | None:
    """Return the key of the object or workflow that an invocation is for."""
    return next((unquote(value) for name, value in headers if name == KEY_HEADER), None)
