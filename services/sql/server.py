"""Accepts PostgreSQL clients: startup, one session each, cancel requests, farewell."""

import asyncio
import contextlib
import hmac
import socket
import ssl
from typing import Final

from structlog.typing import FilteringBoundLogger

from perdure.base.clock import Random
from perdure.base.limits import MIB
from perdure.codec.pgwire import backend
from perdure.codec.pgwire import frontend as fe
from perdure.process.certificate import ServerCertificate
from perdure.process.traffic import Traffic
from perdure.query.engine import Queries
from perdure.query.errors import QueryError
from services.sql.login import Accounts, log_in
from services.sql.metrics import SqlMetrics
from services.sql.session import Session, SessionLimits
from services.sql.settings import REPORTED

_MESSAGE_BYTES_MAX: Final = 16 * MIB
_READ_BYTES: Final = 64 * 1024
_MESSAGES_WAITING_MAX: Final = 256
_STARTUP_S_MAX: Final = 10.0
_MINOR_VERSION: Final = 0


class SqlServer:
    """Serves one session per connection.

    Args:
        queries: Runs the statements.
        connections_max: Sessions at a time.
        limits: Of each session.
        accounts: Who may come in.
        certificate: Of TLS for clients that ask for it; None declines.
        is_tls_required: Whether clients that do not are refused.
        random: For the secrets of cancel requests, and for logins.
        log: Where connections that break the protocol are told.
        traffic: Counts connections and bytes.
        metrics: Counts statements.
    """

    def __init__(
        self,
        queries: Queries,
        *,
        connections_max: int,
        limits: SessionLimits,
        accounts: Accounts,
        certificate: ServerCertificate | None,
        is_tls_required: bool = False,
        random: Random,
        log: FilteringBoundLogger,
        traffic: Traffic,
        metrics: SqlMetrics,
    ) -> None:
        self._queries = queries
        self._connections_max = connections_max
        self._limits = limits
        self._accounts = accounts
        self._certificate = certificate
        self._is_tls_required = is_tls_required
        self._random = random
        self._log = log
        self._traffic = traffic
        self._metrics = metrics
        self._connections: set[_Connection] = set()
        self._sessions: dict[int, tuple[bytes, Session]] = {}
        self._next_process_id = 1
        self._is_draining = False
        self._all_gone = asyncio.Event()
        self._all_gone.set()

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends. For `asyncio.start_server`."""
        connection = _Connection(reader, writer, self._traffic)
        self._traffic.opened()
        self._connections.add(connection)
        self._all_gone.clear()
        try:
            await self._serve(connection)
        except (ConnectionError, TimeoutError):
            pass
        except QueryError as error:
            self._log.info("refused", reason=error.message)
            await connection.bid_farewell(error.sqlstate, error.message)
        except fe.PostgresProtocolError as error:
            self._log.info("protocol_broken", reason=error.message)
            await connection.bid_farewell("08P01", error.message)
        except Exception:
            self._log.exception("connection_failed")
        finally:
            self._connections.discard(connection)
            self._traffic.closed()
            connection.close()
            if not self._connections:
                self._all_gone.set()

    def begin_drain(self) -> None:
        """Have every connection end after the statement that it is running, and refuse others."""
        self._is_draining = True
        for connection in self._connections:
            connection.stop()

    async def drain(self) -> None:
        """Begin, and wait until all connections have ended."""
        self.begin_drain()
        await self._all_gone.wait()

    async def _serve(self, connection: "_Connection") -> None:
        async with asyncio.timeout(_STARTUP_S_MAX):
            startup = await self._startup(connection)
            if startup is None:
                return
            await log_in(startup, self._accounts, self._random, send=connection.send, receive=connection.next)
        if self._is_draining:
            await connection.bid_farewell("57P03", "this server is about to stop; connect to another one")
            return
        if len(self._sessions) >= self._connections_max:
            await connection.bid_farewell("53300", f"too many connections, limit {self._connections_max}")
            return
        process_id, self._next_process_id = self._next_process_id, self._next_process_id % 0x7FFFFFFF + 1
        secret = self._random.bytes(4)
        session = Session(self._queries, startup, self._limits, connection.send, self._log, self._metrics)
        self._sessions[process_id] = (secret, session)
        try:
            await connection.send(_greeting(startup, process_id, secret))
            connection.on_lost = session.cut
            while (message := await connection.next()) is not None and not isinstance(message, fe.Terminate):
                await session.receive(message)
            if connection.is_stopped:
                await connection.bid_farewell("57P01", "terminating connection: the server is stopping")
        finally:
            session.close()
            del self._sessions[process_id]

    async def _startup(self, connection: "_Connection") -> fe.Startup | None:
        while (message := await connection.next()) is not None:
            match message:
                case fe.TlsRequested() if self._certificate is not None:
                    await connection.begin_tls(self._certificate.context())
                case fe.TlsRequested() | fe.GssapiRequested():
                    await connection.send(backend.ENCRYPTION_DECLINED)
                case fe.Startup() if self._is_tls_required and not connection.is_encrypted:
                    raise QueryError("28000", "this server takes connections over TLS only: set sslmode to require or more")
                case fe.Startup():
                    return message
                case fe.CancelRequested(process_id, secret):
                    expected, session = self._sessions.get(process_id, (b"", None))
                    if session is not None and hmac.compare_digest(expected, secret):
                        session.cut()
                    return None
                case _:
                    raise fe.PostgresProtocolError(f"unexpected message {type(message).__name__}")
        return None


def _greeting(startup: fe.Startup, process_id: int, secret: bytes) -> bytes:
    options = [name for name in startup.parameters if name.startswith("_pq_.")]
    parts = [backend.negotiate_protocol_version(_MINOR_VERSION, options)] if startup.minor_version > _MINOR_VERSION or options else []
    parts.append(backend.AUTHENTICATION_OK)
    parts += [backend.parameter_status(name, value) for name, value in REPORTED.items()]
    if "application_name" in startup.parameters:
        parts.append(backend.parameter_status("application_name", startup.parameters["application_name"]))
    parts += [backend.backend_key_data(process_id, secret), backend.ready_for_query(b"I")]
    return b"".join(parts)


class _Connection:
    """A socket as messages: read ahead while statements run, so that a lost client is noticed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, traffic: Traffic) -> None:
        self._reader = reader
        self._writer = writer
        self._traffic = traffic
        self._decoder = fe.FrontendDecoder(message_bytes_max=_MESSAGE_BYTES_MAX)
        self._messages: asyncio.Queue[fe.FrontendMessage | fe.PostgresProtocolError | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_MESSAGES_WAITING_MAX)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a client that vanishes is noticed
        self._reading = asyncio.ensure_future(self._read())
        self.is_stopped = False
        self.on_lost = _nothing

    @property
    def is_encrypted(self) -> bool:
        return self._writer.get_extra_info("sslcontext") is not None

    async def next(self) -> fe.FrontendMessage | None:
        """Return the next message; None once the client is gone or the server stops."""
        message = await self._messages.get()
        self._room.release()
        if isinstance(message, fe.PostgresProtocolError):
            raise message
        return message

    async def send(self, data: bytes) -> None:
        """Send bytes; waits where the client takes them slowly."""
        self._traffic.sent_bytes += len(data)
        self._writer.write(data)
        await self._writer.drain()

    async def begin_tls(self, context: ssl.SSLContext) -> None:
        """Accept TLS, and go on with it.

        Raises:
            PostgresProtocolError: The client has sent more before it; somebody else may have.
            ConnectionError: The handshake failed.
        """
        if self.is_encrypted or not self._decoder.is_empty or not self._messages.empty():
            raise fe.PostgresProtocolError("data before TLS was begun")
        self._writer.write(backend.TLS_ACCEPTED)
        try:
            await self._writer.start_tls(context)  # nothing can be read in between: it takes the transport at once
        except ssl.SSLError as error:
            raise ConnectionResetError(str(error)) from None

    async def bid_farewell(self, sqlstate: str, reason: str) -> None:
        """Tell why the connection ends, if the client still listens."""
        with contextlib.suppress(ConnectionError):
            await self.send(backend.error_response("FATAL", sqlstate, reason))

    def stop(self) -> None:
        """Let nothing follow the message that is being dealt with."""
        self.is_stopped = True
        while not self._messages.empty():
            self._messages.get_nowait()
        self._messages.put_nowait(None)

    def close(self) -> None:
        self._reading.cancel()
        self._writer.close()

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(_READ_BYTES):
                self._traffic.received_bytes += len(data)
                for message in self._decoder.receive(data):
                    await self._room.acquire()
                    self._messages.put_nowait(message)
        except fe.PostgresProtocolError as error:
            self._messages.put_nowait(error)
            return
        except ConnectionError:
            pass
        self.on_lost()
        self._messages.put_nowait(None)


def _nothing() -> None:
    pass
