"""Deployments that want an identity token of Google, on a machine whose metadata server is played here."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.suite import Suite


def token_for(audience: str) -> str:
    now = int(time.time())
    parts = ({"alg": "RS256", "typ": "JWT"}, {"aud": audience, "iat": now, "exp": now + 3_600})
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts), "c2ln"])


def audience_of(token: str) -> str:
    middle = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))["aud"]


class Metadata(BaseHTTPRequestHandler):
    """Gives identity tokens to whoever asks in the way of the machine; everything else is there, and empty."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        audience = parse_qs(url.query, keep_blank_values=True).get("audience", [""])[0]
        body = token_for(audience).encode() if url.path.endswith("/identity") else b'{"email": "server@project.iam.gserviceaccount.com"}'
        self.send_response(200)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "text/plain" if url.path.endswith("/identity") else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[tuple[Suite, Endpoint]]:
    """A server on a machine of Google Cloud, and an endpoint that notes what it is shown."""
    metadata = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=metadata.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{metadata.server_port}"
    suite = Suite(tmp_path / "data", env={"GCE_METADATA_HOST": address, "GCE_METADATA_IP": address})
    endpoint = Endpoint("tests.e2e.google_services:app", tmp_path)
    try:
        endpoint.start()
        suite.start()
        yield suite, endpoint
    finally:
        suite.close()
        endpoint.stop()
        metadata.shutdown()
        metadata.server_close()


def test_discovery_and_calls_show_a_token_for_the_endpoint(machine: tuple[Suite, Endpoint]) -> None:
    suite, endpoint = machine
    body = {"uri": endpoint.url, "auth": {"GoogleIdToken": {}}}
    created = suite.http.post(f"{suite.admin_url}/deployments", json=body)
    assert created.status_code == 201, created.text
    assert suite.call("/Guarded/greet", "Ada").json() == "Hello Ada"
    for path in ("/discover", "/invoke/Guarded/greet"):
        [token] = endpoint.effects(path)
        assert audience_of(token) == endpoint.url
    listed = suite.http.get(f"{suite.admin_url}/deployments/{created.json()['id']}").json()
    assert listed["auth"] == {"GoogleIdToken": {"audience": endpoint.url}}
