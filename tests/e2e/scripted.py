"""A deployment without an SDK: each of its handlers answers every attempt with the same scripted frames."""

import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from perdure.codec.service_protocol import messages_pb2 as pb
from perdure.sim import wire


class Script(msgspec.Struct):
    """What a handler does: an error for each attempt until `attempts_failing` have failed, then a result; options as in the manifest."""

    error: pb.Error | None = None
    attempts_failing: int = 1_000_000
    silent_s: float = 0.0
    """How long it says nothing before it answers."""
    options: dict[str, Any] = {}


@contextmanager
def serving(service: str, scripts: dict[str, Script]) -> Generator[tuple[str, dict[str, int]]]:
    """Serve handlers by name over HTTP/1.1; yield the address and the number of attempts of each handler so far."""
    attempts = dict.fromkeys(scripts, 0)
    handlers = [{"name": name, **script.options} for name, script in scripts.items()]
    manifest = {
        "protocolMode": "REQUEST_RESPONSE",
        "minProtocolVersion": 5,
        "maxProtocolVersion": 6,
        "services": [{"name": service, "ty": "SERVICE", "handlers": handlers}],
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("application/vnd.restate.endpointmanifest.v4+json", json.dumps(manifest).encode())

        def do_POST(self) -> None:
            self._read_body()
            name = self.path.rpartition("/")[2]
            script = scripts[name]
            attempts[name] += 1
            time.sleep(script.silent_s)
            if script.error is not None and attempts[name] <= script.attempts_failing:
                body = wire.frame(wire.ERROR, script.error)
            else:
                body = wire.frame(wire.OUTPUT, pb.Output(value=pb.Value(content=b'"done"'))) + wire.frame(wire.END, pb.Void())
            self._answer(self.headers["content-type"], body)

        def _read_body(self) -> None:
            if self.headers.get("transfer-encoding") != "chunked":
                self.rfile.read(int(self.headers.get("content-length", 0)))
                return
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()

        def _answer(self, content_type: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is that of the base class
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", attempts
    finally:
        server.shutdown()
        server.server_close()
