"""Header fields between the text of the interface and the bytes of the wire. Pure."""

from collections.abc import Iterable
from typing import Final

from perdure.deployments.interface import HeaderList

CONNECTION_HEADERS: Final = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "content-length"})
"""Headers that belong to the connection: nobody may set them from outside."""


def encode_headers(authority: bytes, headers: HeaderList, additional: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the header fields of a request as bytes; `additional` replaces what has the same name."""
    if not additional:
        return [(b"host", authority), *((name.encode(), value.encode()) for name, value in headers)]
    extra = {name.lower(): value.strip() for name, value in additional.items()}
    merged = {"host": authority.decode(), **dict(headers), **extra}
    return [(name.encode(), value.encode()) for name, value in merged.items() if name not in CONNECTION_HEADERS]


def text_headers(headers: Iterable[tuple[bytes, bytes]]) -> HeaderList:
    """Return `headers` as text, names in lower case."""
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]
