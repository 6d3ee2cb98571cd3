"""A fleet whose parts trust nobody: TLS on every port, mutual TLS and least rights on the bus, a token, a password for SQL."""

import json
import secrets
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.contract.deployments.certificates import Authority, Certificates
from tests.e2e.fleet import PUBLIC, Fleet, started
from tests.e2e.processes import REPOSITORY

ROLES: Final = (*PUBLIC, "invoker")
SETTINGS_OF_ITS_OWN: Final = ("listen:", "max_")


class SecuredFleet(Fleet):
    """Everything that is secret is drawn anew: `token`, `password`, and a password of each role for the bus."""

    def __init__(self, base_dir: Path, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.authority = Authority(room)
        self.token, self.password = f"token-{secrets.token_hex(8)}", f"password-{secrets.token_hex(8)}"
        self.trace_header, self.request_header = f"trace-{secrets.token_hex(8)}", f"request-{secrets.token_hex(8)}"
        self.bus_passwords = {role: f"bus-{role}-{secrets.token_hex(8)}" for role in ROLES}
        for role, password in self.bus_passwords.items():
            monkeypatch.setenv(f"NATS_{role.upper()}_PASSWORD", password)
        self.server = self.renew()
        self.client = self.authority.issue("a process", stem="client")
        self.nats_log = room / "nats.log"
        super().__init__(base_dir, nats_settings=self._nats_settings())
        self.nats_url = f"tls://localhost:{self.nats.port}"
        self._room = room
        self.signing_key = room / "signing-key.pem"
        self.signing_key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.context = ssl.create_default_context(cafile=str(self.authority.file))
        self.http.close()
        self.http = httpx.Client(timeout=60.0, verify=self.context, headers={"authorization": f"Bearer {self.token}"})
        self.ingress_url = f"https://localhost:{self.balancer.port}"
        self.admin_url = f"https://localhost:{self.admin_port}"

    def renew(self) -> Certificates:
        """Write a new certificate and key for all public ports and the bus, in place of the last."""
        return self.authority.issue("localhost", stem="server")

    def env_of(self, role: str) -> dict[str, str]:
        """Secrets are in files, as operators keep them, or in headers; nothing takes the spans, so that their failure is logged, too."""
        of_role = {}
        if role in PUBLIC:
            of_role = {f"PERDURE_{role.upper()}__TLS_CERT_FILE": str(self.server.certificate)}
            of_role[f"PERDURE_{role.upper()}__TLS_KEY_FILE"] = str(self.server.key)
        if role == "sql":
            of_role |= {"PERDURE_SQL__USER": "ada", "PERDURE_SQL__PASSWORD_FILE": self._kept("sql", self.password)}
            of_role |= {"PERDURE_SQL__TLS_REQUIRED": "true"}
        return {
            "PERDURE_LOG_FORMAT": "json",
            "PERDURE_LOG_LEVEL": "debug",
            "PERDURE_TRACING_ENDPOINT": "http://127.0.0.1:9",
            "PERDURE_TRACING_PROTOCOL": "http",
            "PERDURE_TRACING_HEADERS": json.dumps({"x-trace-key": self.trace_header}),
            "PERDURE_ADDITIONAL_REQUEST_HEADERS": json.dumps({"x-request-key": self.request_header}),
            "PERDURE_REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE": str(self.signing_key),
            "PERDURE_AUTH_TOKEN_FILE": self._kept("token", self.token),
            "PERDURE_NATS_USER": role,
            "PERDURE_NATS_PASSWORD_FILE": self._kept(f"bus-{role}", self.bus_passwords[role]),
            "PERDURE_NATS_TLS_CA_FILE": str(self.authority.file),
            "PERDURE_NATS_TLS_CERT_FILE": str(self.client.certificate),
            "PERDURE_NATS_TLS_KEY_FILE": str(self.client.key),
            **of_role,
        }

    def url_of(self, role: str) -> str:
        """Base URL of the first process of a role."""
        return f"https://localhost:{self.members[role][0].port}"

    def shown_by(self, port: int, greeting: bytes = b"") -> str:
        """Return the certificate that a port shows, as PEM; `greeting` asks it to begin TLS, where it does not with the first byte."""
        with socket.create_connection(("localhost", port)) as plain:
            if greeting:
                plain.sendall(greeting)
                assert plain.recv(1) == b"S"
            with self.context.wrap_socket(plain, server_hostname="localhost") as encrypted:
                found = encrypted.getpeercert(binary_form=True)
        assert found is not None
        return ssl.DER_cert_to_PEM_cert(found)

    def logs(self) -> str:
        """Return what all processes have printed."""
        return "".join(path.read_text() for path in self.base_dir.glob("*.log"))

    def _kept(self, name: str, secret: str) -> str:
        path = self._room / f"{name}.secret"
        path.write_text(secret + "\n")
        return str(path)

    def _nats_settings(self) -> str:
        text = (REPOSITORY / "deploy/nats-secured.conf").read_text()
        for name, path in (("certificate", self.server.certificate), ("key", self.server.key), ("authority", self.authority.file)):
            text = text.replace(f"/etc/nats/{name}.pem", str(path))
        lines = [line for line in text.splitlines() if not line.startswith("listen:")]
        return "\n".join([*lines, f'log_file: "{self.nats_log}"', ""])


def secured(base_dir: Path, room: Path, monkeypatch: pytest.MonkeyPatch, **counts: int) -> Iterator[SecuredFleet]:
    """Yield a fleet with so many processes of each role, and end it."""
    yield from started(SecuredFleet(base_dir, room, monkeypatch), **counts)
