"""Who may write a partition."""

import msgspec


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """The owner's process id, and the epoch that fences earlier owners."""

    owner: str
    epoch: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Lease).decode


def encode_lease(lease: Lease) -> bytes:
    """Return the stored form of a lease; equal leases have equal bytes."""
    return _encode(lease)


def decode_lease(raw: bytes) -> Lease:
    """Return the lease that a row holds."""
    return _decode(raw)
