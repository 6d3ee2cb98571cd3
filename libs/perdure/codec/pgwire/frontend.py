"""What a PostgreSQL client sends: bytes in, messages out.

Before the startup a packet is a length and a code; afterwards a message is a type byte, a length and its content.
Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol"; shared/spec/sql.md, section 7.
Holds at most one incomplete message.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from perdure.base.errors import RemoteProtocolError

_INT32: Final = struct.Struct(">i")
_INT16: Final = struct.Struct(">h")

_PROTOCOL_MAJOR: Final = 3
_CANCEL_REQUEST: Final = 80877102
_SSL_REQUEST: Final = 80877103
_GSSENC_REQUEST: Final = 80877104
_STARTUP_BYTES_MAX: Final = 10_000


class PostgresProtocolError(RemoteProtocolError):
    """A PostgreSQL client broke the protocol; the connection cannot go on. SQLSTATE 08P01."""

    code = None


class TlsRequested(msgspec.Struct, frozen=True):
    """The client asks for TLS: after an `S` it begins the handshake; after an `N` it goes on in clear, or leaves."""


class GssapiRequested(msgspec.Struct, frozen=True):
    """The client asks for encryption by GSSAPI; a single `N` declines."""


class CancelRequested(msgspec.Struct, frozen=True):
    """Another connection's query is to be cut; this connection has served its purpose."""

    process_id: int
    secret: bytes


class Startup(msgspec.Struct, frozen=True):
    """The session begins; `parameters` are `user`, `database` and settings."""

    minor_version: int
    parameters: dict[str, str]


class AuthenticationResponse(msgspec.Struct, frozen=True):
    """What a client says when it is asked who it is; `content` depends on how it was asked."""

    content: bytes

    def initial(self) -> tuple[str, bytes]:
        """Return the mechanism that a client has chosen, and its first message.

        Raises:
            PostgresProtocolError: This is no such message.
        """
        reader = _Reader(self.content)
        mechanism = reader.text()
        size = reader.int32()
        first = b"" if size == -1 else reader.take(size)
        reader.finish()
        return mechanism, first


class Query(msgspec.Struct, frozen=True):
    """Simple protocol: run the statements of `sql`."""

    sql: str


class Parse(msgspec.Struct, frozen=True):
    """Prepare a statement; `parameter_oids` may be shorter than there are parameters, and 0 leaves a type open."""

    statement: str
    sql: str
    parameter_oids: tuple[int, ...]


class Bind(msgspec.Struct, frozen=True):
    """Make a portal of a statement and its parameters. Formats: 0 text, 1 binary; one for all or one each."""

    portal: str
    statement: str
    parameter_formats: tuple[int, ...]
    parameters: tuple[bytes | None, ...]
    result_formats: tuple[int, ...]


class DescribeStatement(msgspec.Struct, frozen=True):
    """Tell the parameters and columns of a statement."""

    name: str


class DescribePortal(msgspec.Struct, frozen=True):
    """Tell the columns of a portal."""

    name: str


class Execute(msgspec.Struct, frozen=True):
    """Run a portal for at most `rows_max` rows (0: all)."""

    portal: str
    rows_max: int


class CloseStatement(msgspec.Struct, frozen=True):
    """Forget a statement; one that does not exist is no error."""

    name: str


class ClosePortal(msgspec.Struct, frozen=True):
    """Forget a portal; one that does not exist is no error."""

    name: str


class Sync(msgspec.Struct, frozen=True):
    """End of a series of extended messages: after an error, what came before this was skipped."""


class Flush(msgspec.Struct, frozen=True):
    """Send what is there."""


class Terminate(msgspec.Struct, frozen=True):
    """The client leaves."""


FrontendMessage = (
    TlsRequested
    | GssapiRequested
    | CancelRequested
    | Startup
    | AuthenticationResponse
    | Query
    | Parse
    | Bind
    | DescribeStatement
    | DescribePortal
    | Execute
    | CloseStatement
    | ClosePortal
    | Sync
    | Flush
    | Terminate
)


class _Reader:
    """Reads the content of one message from its front."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def text(self) -> str:
        end = self._content.find(b"\x00", self._at)
        if end < 0:
            raise PostgresProtocolError("string without its terminator")
        raw, self._at = self._content[self._at : end], end + 1
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise PostgresProtocolError("string that is not UTF-8") from None

    def take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > len(self._content):
            raise PostgresProtocolError("message is shorter than what it announces")
        raw, self._at = self._content[self._at : end], end
        return raw

    def int16(self) -> int:
        return _INT16.unpack(self.take(2))[0]

    def count(self) -> int:
        value = self.int16()
        return value & 0xFFFF

    def int32(self) -> int:
        return _INT32.unpack(self.take(4))[0]

    def oid(self) -> int:
        return self.int32() & 0xFFFFFFFF

    def rest(self) -> bytes:
        return self.take(len(self._content) - self._at)

    def finish(self) -> None:
        if self._at != len(self._content):
            raise PostgresProtocolError(f"message with {len(self._content) - self._at} bytes too many")


def _formats(reader: _Reader) -> tuple[int, ...]:
    formats = tuple(reader.int16() for _ in range(reader.count()))
    if any(code not in {0, 1} for code in formats):
        raise PostgresProtocolError(f"unknown format codes {formats}")
    return formats


def _query(reader: _Reader) -> FrontendMessage:
    return Query(reader.text())


def _parse(reader: _Reader) -> FrontendMessage:
    statement, sql = reader.text(), reader.text()
    return Parse(statement, sql, tuple(reader.oid() for _ in range(reader.count())))


def _parameter(reader: _Reader) -> bytes | None:
    size = reader.int32()
    return None if size == -1 else reader.take(size)


def _bind(reader: _Reader) -> FrontendMessage:
    portal, statement = reader.text(), reader.text()
    parameter_formats = _formats(reader)
    parameters = tuple(_parameter(reader) for _ in range(reader.count()))
    if len(parameter_formats) > 1 and len(parameter_formats) != len(parameters):
        raise PostgresProtocolError(f"{len(parameter_formats)} parameter formats for {len(parameters)} parameters")
    return Bind(portal, statement, parameter_formats, parameters, _formats(reader))


def _kind(reader: _Reader) -> bytes:
    kind = reader.take(1)
    if kind not in {b"S", b"P"}:
        raise PostgresProtocolError(f"{kind!r} is neither statement nor portal")
    return kind


def _describe(reader: _Reader) -> FrontendMessage:
    return DescribeStatement(reader.text()) if _kind(reader) == b"S" else DescribePortal(reader.text())


def _close(reader: _Reader) -> FrontendMessage:
    return CloseStatement(reader.text()) if _kind(reader) == b"S" else ClosePortal(reader.text())


def _execute(reader: _Reader) -> FrontendMessage:
    return Execute(reader.text(), max(reader.int32(), 0))


_MESSAGES: Final[dict[int, Callable[[_Reader], FrontendMessage]]] = {
    ord("Q"): _query,
    ord("P"): _parse,
    ord("B"): _bind,
    ord("D"): _describe,
    ord("E"): _execute,
    ord("C"): _close,
    ord("S"): lambda _: Sync(),
    ord("H"): lambda _: Flush(),
    ord("X"): lambda _: Terminate(),
    ord("p"): lambda reader: AuthenticationResponse(reader.rest()),
}


def _startup(content: bytes) -> FrontendMessage:
    reader = _Reader(content)
    code = reader.int32()
    match code:
        case _ if code == _SSL_REQUEST:
            message = TlsRequested()
        case _ if code == _GSSENC_REQUEST:
            message = GssapiRequested()
        case _ if code == _CANCEL_REQUEST:
            message = CancelRequested(reader.int32(), reader.rest())
        case _ if code >> 16 == _PROTOCOL_MAJOR:
            parameters: dict[str, str] = {}
            while name := reader.text():
                parameters[name] = reader.text()
            message = Startup(code & 0xFFFF, parameters)
        case _:
            raise PostgresProtocolError(f"protocol version {code >> 16}.{code & 0xFFFF} is not supported, use 3.0")
    reader.finish()
    return message


class FrontendDecoder:
    """Cut what a client sends into messages.

    Args:
        message_bytes_max: A longer message is refused before it is there, which bounds the memory of a connection.
    """

    def __init__(self, *, message_bytes_max: int) -> None:
        assert message_bytes_max > 0
        self._message_bytes_max = message_bytes_max
        self._buffer = bytearray()
        self._has_started = False

    def receive(self, data: bytes) -> Iterator[FrontendMessage]:
        """Yield the messages that `data` completes; take them all before the next call.

        Raises:
            PostgresProtocolError: With the reason; nothing can be received any more.
        """
        self._buffer += data
        while (message := self._next()) is not None:
            if isinstance(message, Startup):
                self._has_started = True
            yield message

    @property
    def is_empty(self) -> bool:
        """Whether nothing was received that is not yet a message."""
        return not self._buffer

    def _next(self) -> FrontendMessage | None:
        head = 1 if self._has_started else 0
        if len(self._buffer) < head + 4:
            return None
        length = _INT32.unpack_from(self._buffer, head)[0]
        if length < 4 or (head == 0 and length < 8):
            raise PostgresProtocolError(f"message of length {length}")
        limit = self._message_bytes_max if self._has_started else _STARTUP_BYTES_MAX
        if length > limit:
            raise PostgresProtocolError(f"message of {length} bytes, limit {limit}")
        end = head + length
        if len(self._buffer) < end:
            return None
        content = bytes(self._buffer[head + 4 : end])
        kind = self._buffer[0]
        del self._buffer[:end]
        if not self._has_started:
            return _startup(content)
        read = _MESSAGES.get(kind)
        if read is None:
            raise PostgresProtocolError(f"message of unsupported type {chr(kind)!r}")
        reader = _Reader(content)
        message = read(reader)
        reader.finish()
        return message
