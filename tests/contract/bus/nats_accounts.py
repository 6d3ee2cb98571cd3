"""A NATS server that takes tokens: an operator, an account and its users, each with a key of its own."""

import base64
import binascii
import json
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

OPERATOR, ACCOUNT, USER = 14 << 3, 0, 20 << 3
"""First bytes of public keys: they read as O, A and U."""
SEED = 18 << 3


class Key:
    """An nkey of some kind."""

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self._key = Ed25519PrivateKey.generate()

    @property
    def public(self) -> str:
        return _encoded(bytes((self._kind,)) + self._key.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        return _encoded(bytes((SEED | self._kind >> 5, (self._kind & 31) << 3)) + self._key.private_bytes_raw())

    def token(self, subject: str, name: str, kind: str, **claims: Any) -> str:
        """Return a JWT about `subject`, signed with this key."""
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        body = {"jti": name, "iat": int(time.time()), "iss": self.public, "sub": subject, "name": name}
        nats = {"type": kind, "version": 2, **claims}
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (head, body | {"nats": nats}))
        return f"{signed}.{_base64url(self._key.sign(signed.encode()))}"


class Accounts:
    """Settings of a server with one account, and credentials of users in it."""

    def __init__(self) -> None:
        self._account = Key(ACCOUNT)
        operator = Key(OPERATOR)
        limits = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
        account = operator.token(self._account.public, "account", "account", limits=limits | {"wildcards": True})
        self.settings = (
            f"operator: {operator.token(operator.public, 'operator', 'operator')}\n"
            f"resolver: MEMORY\nresolver_preload: {{{self._account.public}: {account}}}\n"
        )

    def credentials(self, path: Path) -> str:
        """Write the credentials of a new user, and return their path."""
        user = Key(USER)
        token = self._account.token(user.public, "user", "user", subs=-1, data=-1, payload=-1, pub={}, sub={})
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
        return str(path)


def _encoded(body: bytes) -> str:
    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")).rstrip(b"=").decode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
