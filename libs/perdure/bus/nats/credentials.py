"""NATS credentials: a `.creds` file with a token of the user, and the key that proves who brings it.

Source: the NATS documentation on JWT authentication; the encoding of keys is that of the nkeys project.
"""

import base64
import binascii
import re
from pathlib import Path
from typing import Final, NamedTuple

from perdure.base.errors import ConfigurationError

_BLOCK: Final = re.compile(rb"-+BEGIN (NATS USER JWT|USER NKEY SEED)-+\s+([A-Za-z0-9_.=-]+)\s+-+END [A-Z ]+-+")
_SEED: Final = 18 << 3
"""First five bits of every seed: it reads as `S`."""
_SEED_BYTES: Final = 32
_PREFIX_BYTES: Final = 2
_CHECKSUM_BYTES: Final = 2


class Credentials(NamedTuple):
    """What a client shows (`jwt`) and what it signs with (the 32 bytes of an Ed25519 key)."""

    jwt: bytes
    seed: bytes

    def sign(self, nonce: str) -> bytes:
        """Return the signature of what a server asks to have signed, in base64."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return base64.b64encode(Ed25519PrivateKey.from_private_bytes(self.seed).sign(nonce.encode()))


def read_credentials(path: str) -> Credentials:
    """Read a `.creds` file.

    Raises:
        ConfigurationError: It cannot be read, or does not hold a token and a seed.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"nats_credentials_file {path}: {error.strerror}") from None
    blocks = dict(_BLOCK.findall(text))
    if blocks.keys() != {b"NATS USER JWT", b"USER NKEY SEED"}:
        raise ConfigurationError(f"nats_credentials_file {path}: it must hold a NATS USER JWT and a USER NKEY SEED, each once")
    try:
        return Credentials(blocks[b"NATS USER JWT"], decode_seed(blocks[b"USER NKEY SEED"]))
    except ValueError as error:
        raise ConfigurationError(f"nats_credentials_file {path}: {error}") from None


def decode_seed(text: bytes) -> bytes:
    """Return the 32 bytes of a seed in base32: two bytes that say of what it is, the seed, and a checksum (CRC-16, least byte first).

    Raises:
        ValueError: It is none.
    """
    try:
        raw = base64.b32decode(text + b"=" * (-len(text) % 8))
    except binascii.Error:
        raise ValueError("the seed is not base32") from None
    body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if len(body) != _PREFIX_BYTES + _SEED_BYTES or body[0] & 0xF8 != _SEED:
        raise ValueError("the seed is not one of an nkey")
    if binascii.crc_hqx(body, 0) != int.from_bytes(checksum, "little"):
        raise ValueError("the seed has a wrong checksum")
    return body[_PREFIX_BYTES:]
