"""SCRAM-SHA-256 from the server's side, without I/O. Source: RFC 5802, RFC 7677; PostgreSQL documentation, "SASL Authentication".

Channel binding is not offered. Whether it is the user or the password that is wrong, a client learns at the end, and not which.
"""

import base64
import binascii
import hashlib
import hmac
import unicodedata
from typing import Final

import msgspec

MECHANISM: Final = "SCRAM-SHA-256"
ITERATIONS: Final = 4_096
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 18
_HASH: Final = "sha256"
_GS2_HEADERS: Final = ("n,", "y,")
"""The client binds no channel, or could, and sees that it is not offered."""


class ScramError(ValueError):
    """The exchange cannot go on."""


class Credentials(msgspec.Struct, frozen=True):
    """What a server keeps of a password: enough to check it, not to log in with it elsewhere."""

    salt: bytes
    stored_key: bytes
    server_key: bytes


def credentials_of(password: str, salt: bytes) -> Credentials:
    """Derive what is kept of a password; takes some milliseconds, on purpose."""
    prepared = unicodedata.normalize("NFKC", password).encode()
    salted = hashlib.pbkdf2_hmac(_HASH, prepared, salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", _HASH)
    return Credentials(salt, hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", _HASH))


class ScramExchange:
    """One client's login.

    Args:
        nonce: Random printable text without commas, of this exchange alone.
    """

    def __init__(self, credentials: Credentials, nonce: str) -> None:
        self._credentials = credentials
        self._own_nonce = nonce
        self._nonce = ""
        self._gs2_header = ""
        self._transcript = ""

    def first(self, message: bytes) -> bytes:
        """Take the client's first message and return the challenge.

        Raises:
            ScramError: It is not such a message, or wants what is not offered.
        """
        text = _decoded(message)
        parts = text.split(",", 2)
        if len(parts) != 3 or not text.startswith(_GS2_HEADERS):
            raise ScramError("client-first-message is malformed, or asks for channel binding")
        self._gs2_header = f"{parts[0]},{parts[1]},"
        attributes = _attributes(parts[2])
        if not attributes.get("r") or "m" in attributes:
            raise ScramError("client-first-message has no nonce, or an extension that is not known")
        self._nonce = attributes["r"] + self._own_nonce
        challenge = f"r={self._nonce},s={base64.b64encode(self._credentials.salt).decode()},i={ITERATIONS}"
        self._transcript = f"{parts[2]},{challenge}"
        return challenge.encode()

    def final(self, message: bytes) -> bytes | None:
        """Take the client's proof and return the server's; None where it is wrong.

        Raises:
            ScramError: It is not such a message.
        """
        without_proof, mark, proof_text = _decoded(message).rpartition(",p=")
        attributes = _attributes(without_proof)
        if not mark or attributes.get("r") != self._nonce or attributes.get("c") != base64.b64encode(self._gs2_header.encode()).decode():
            raise ScramError("client-final-message does not belong to this exchange")
        try:
            proof = base64.b64decode(proof_text, validate=True)
        except binascii.Error:
            raise ScramError("client-final-message has no proof") from None
        signed = f"{self._transcript},{without_proof}".encode()
        signature = hmac.digest(self._credentials.stored_key, signed, _HASH)
        client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=False))
        if len(proof) != len(signature) or not hmac.compare_digest(hashlib.sha256(client_key).digest(), self._credentials.stored_key):
            return None
        return b"v=" + base64.b64encode(hmac.digest(self._credentials.server_key, signed, _HASH))


def _decoded(message: bytes) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise ScramError("message that is not UTF-8") from None


def _attributes(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(","))
    return {name: value for name, mark, value in pairs if mark}
