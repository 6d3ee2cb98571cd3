"""Request identity: a signed token on every request, by which an endpoint recognises its server.

The token is a compact JWT, signed with an Ed25519 key that the operator keeps in a file.
Source: shared/spec/service-protocol.md, section 2.5; RFC 7519; RFC 8037.
"""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from perdure.base.clock import Clock
from perdure.base.errors import ConfigurationError
from perdure.deployments.interface import HeaderList

SETTING: Final = "request_identity_private_key_pem_file"

SCHEME: Final = "v1"
EXPIRATION_MS_DEFAULT: Final = 60_000
"""A token counts from so long before it was made until so long after."""

REUSE_MS_MAX: Final = 10_000
"""A token is used again for so long, or for half of the time for which it counts: 20 us -> 0.2 us per request."""
TOKENS_MAX: Final = 4_096
"""Tokens of different paths and keys that are kept; all are forgotten when there are more."""

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PEM_BEGIN: Final = b"-----BEGIN "


class RequestIdentity:
    """Makes the headers that show who asks.

    Args:
        sign: Returns the Ed25519 signature of bytes.
        public_key: The 32 raw bytes that endpoints verify with.
        expiration_ms: A token counts from so long before it was made until so long after; whole seconds.
    """

    def __init__(
        self, sign: Callable[[bytes], bytes], public_key: bytes, clock: Clock, *, expiration_ms: int = EXPIRATION_MS_DEFAULT
    ) -> None:
        self._leeway_s = max(1, expiration_ms // 1_000)
        self._reuse_ms_max = min(REUSE_MS_MAX, self._leeway_s * 1_000 // 2)
        self._sign = sign
        self._clock = clock
        self.key_id = f"publickeyv1_{base58(public_key)}"
        self._head = _base64url(msgspec.json.encode({"typ": "JWT", "alg": "EdDSA", "kid": self.key_id})) + b"."
        self._kept: dict[tuple[str, str | None], HeaderList] = {}
        self._kept_since_ms = 0

    def headers(self, path: str, key: str | None) -> HeaderList:
        """Return the headers for a request.

        Args:
            path: `/discover` or `/invoke/<service>/<handler>`, without the deployment's own path and query.
            key: The key of the object or workflow; None where the target has none.
        """
        now_ms = self._clock.now_ms()
        if not 0 <= now_ms - self._kept_since_ms < self._reuse_ms_max or len(self._kept) >= TOKENS_MAX:
            self._kept.clear()
            self._kept_since_ms = now_ms
        headers = self._kept.get((path, key))
        if headers is None:
            token = self._token(path, key, now_ms // 1_000)
            headers = self._kept[path, key] = [("x-restate-signature-scheme", SCHEME), ("x-restate-jwt-v1", token)]
        return headers

    def _token(self, path: str, key: str | None, now_s: int) -> str:
        claims: dict[str, str | int] = {"aud": path, "iat": now_s, "nbf": now_s - self._leeway_s, "exp": now_s + self._leeway_s}
        if key is not None:
            claims["sub"] = key
        signed = self._head + _base64url(msgspec.json.encode(claims))
        return (signed + b"." + _base64url(self._sign(signed))).decode()


def load_identity(path: str, clock: Clock, *, expiration_ms: int = EXPIRATION_MS_DEFAULT) -> RequestIdentity:
    """Read the private key from a PEM file.

    Raises:
        ConfigurationError: The file cannot be read, or is not exactly one Ed25519 key in PKCS#8.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        pem = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{SETTING} {path}: {error.strerror}") from None
    if pem.count(_PEM_BEGIN) != 1:
        raise ConfigurationError(f"{SETTING} {path}: {pem.count(_PEM_BEGIN)} PEM blocks, wanted one with an Ed25519 private key")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{SETTING} {path}: no private key that can be read: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{SETTING} {path}: the private key is not an Ed25519 key")
    return RequestIdentity(key.sign, key.public_key().public_bytes_raw(), clock, expiration_ms=expiration_ms)


def base58(data: bytes) -> str:
    """Return `data` in base58 with the alphabet of Bitcoin: a leading zero byte is a leading `1`."""
    number = int.from_bytes(data, "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    return _ALPHABET[0] * (len(data) - len(data.lstrip(b"\0"))) + digits


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
