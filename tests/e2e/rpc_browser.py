"""A browser that makes calls with the official Connect clients for the web, from a page of another origin than the ingress."""

import base64
import functools
import http.server
import json
import threading
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.e2e.browser import Browser
from tests.e2e.endpoint import NODE_ROOM
from tests.e2e.processes import eventually

TRANSPORTS: Final = ("web-connect", "web-connect-binary", "web-grpc-web")

_PACKAGES: Final = {
    "@bufbuild/protobuf": "@bufbuild/protobuf/dist/esm/index.js",
    "@bufbuild/protobuf/": "@bufbuild/protobuf/dist/esm/",
    "@bufbuild/protobuf/wkt": "@bufbuild/protobuf/dist/esm/wkt/index.js",
    "@bufbuild/protobuf/wire": "@bufbuild/protobuf/dist/esm/wire/index.js",
    "@bufbuild/protobuf/reflect": "@bufbuild/protobuf/dist/esm/reflect/index.js",
    "@bufbuild/protobuf/codegenv2": "@bufbuild/protobuf/dist/esm/codegenv2/index.js",
    "@connectrpc/connect": "@connectrpc/connect/dist/esm/index.js",
    "@connectrpc/connect/protocol": "@connectrpc/connect/dist/esm/protocol/index.js",
    "@connectrpc/connect/protocol-connect": "@connectrpc/connect/dist/esm/protocol-connect/index.js",
    "@connectrpc/connect/protocol-grpc-web": "@connectrpc/connect/dist/esm/protocol-grpc-web/index.js",
    "@connectrpc/connect-web": "@connectrpc/connect-web/dist/esm/index.js",
}
_IMPORTS: Final = json.dumps({"imports": {name: f"/node_modules/{path}" for name, path in _PACKAGES.items()}})
_PAGE: Final = """<!doctype html>
<script type="importmap">{imports}</script>
<pre id="outcomes"></pre>
<script type="module">
import * as web from "@connectrpc/connect-web";
import {{ outcomesOf }} from "/connect-calls.mjs";
const {{ url, ...program }} = {program};
const transports = {{
  "web-connect": () => web.createConnectTransport({{ baseUrl: url, useBinaryFormat: false }}),
  "web-connect-binary": () => web.createConnectTransport({{ baseUrl: url, useBinaryFormat: true }}),
  "web-grpc-web": () => web.createGrpcWebTransport({{ baseUrl: url }}),
}};
const outcomes = await outcomesOf(program, transports).catch((error) => `${{error.stack}}`);
document.getElementById("outcomes").textContent = JSON.stringify(outcomes);
</script>
"""


def connect_in_browser(url: str, files: FileDescriptorSet, calls: list[dict[str, Any]], directory: Path) -> list[dict[str, Any]]:
    """Make calls within a page; return what each ended with. The page's own server ends with the call."""
    program = {"url": url, "descriptors": base64.b64encode(files.SerializeToString()).decode(), "calls": calls}
    page = _PAGE.format(imports=_IMPORTS, program=json.dumps(program)).encode()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Pages, page)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            return _outcomes(f"http://127.0.0.1:{server.server_port}/page", directory)
        finally:
            server.shutdown()
            thread.join()


def _outcomes(address: str, directory: Path) -> list[dict[str, Any]]:
    browser = Browser(directory)
    try:
        browser.open(address)
        return json.loads(eventually(lambda: browser.text("//pre[@id='outcomes']"), "the page has made its calls"))
    finally:
        browser.close()


class _Pages(http.server.SimpleHTTPRequestHandler):
    """Serves the page, and the modules of the room with the Node packages."""

    extensions_map = {".mjs": "text/javascript", ".js": "text/javascript", "": "application/octet-stream"}  # noqa: RUF012

    def __init__(self, page: bytes, *arguments: Any) -> None:
        self._page = page
        super().__init__(*arguments, directory=str(NODE_ROOM))

    def do_GET(self) -> None:
        if self.path != "/page":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(self._page)))
        self.end_headers()
        self.wfile.write(self._page)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""
