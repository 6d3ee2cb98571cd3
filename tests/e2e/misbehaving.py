"""Deployments that misbehave: a proxy that damages what an endpoint answers, and a web server that is no deployment."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

GARBAGE: Final = bytes(range(256)) * 4


class DamagingProxy:
    """Forwards TCP connections to an endpoint and damages answers on demand.

    `damage` is called for every new connection and gives what happens to the endpoint's answer on it: a function from
    an iterator of byte strings to an iterator of byte strings, at whose end the connection is closed.
    """

    def __init__(self, target_port: int) -> None:
        self.damage: Callable[[Iterator[bytes]], Iterator[bytes]] = unharmed
        self.connections = 0
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening and close every connection."""
        _close(self._listener)
        self.drop_connections()

    def drop_connections(self) -> None:
        """Close the open connections, so that the next request comes on a new one."""
        for connection in list(self._open):
            _close(connection)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                target = socket.create_connection(("127.0.0.1", self._target_port))
                self._open |= {client, target}
                threading.Thread(target=self._pump, args=(client, target, unharmed), daemon=True).start()
                threading.Thread(target=self._pump, args=(target, client, self.damage), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, damage: Callable[[Iterator[bytes]], Iterator[bytes]]) -> None:
        with contextlib.suppress(OSError):
            for data in damage(iter(lambda: source.recv(65536), b"")):
                sink.sendall(data)
        for connection in (source, sink):
            self._open.discard(connection)
            _close(connection)


def unharmed(answer: Iterator[bytes]) -> Iterator[bytes]:
    """Forward everything."""
    return answer


def garbage(answer: Iterator[bytes]) -> Iterator[bytes]:
    """Send bytes that are no protocol at all in place of the answer."""
    next(answer, b"")
    yield GARBAGE


def silence(answer: Iterator[bytes]) -> Iterator[bytes]:
    """Swallow the answer and keep the connection open."""
    for _ in answer:
        pass
    yield b""


def cut_after(byte_count: int) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """Forward `byte_count` bytes of the answer, then close."""

    def damage(answer: Iterator[bytes]) -> Iterator[bytes]:
        left = byte_count
        while left > 0 and (data := next(answer, b"")):
            yield data[:left]
            left -= len(data)

    return damage


class WebServer:
    """An HTTP/1.1 server that gives one answer to every request.

    Args:
        body: What it answers; None keeps every request waiting until the server is closed.
    """

    def __init__(self, body: bytes | None, *, status: int = 200, content_type: str = "text/html") -> None:
        self._is_closing = threading.Event()
        is_closing = self._is_closing

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if body is None:
                    is_closing.wait()
                    return
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Let waiting requests go and stop listening."""
        self._is_closing.set()
        self._server.shutdown()
        self._server.server_close()


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
