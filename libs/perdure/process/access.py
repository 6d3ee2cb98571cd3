"""Who may use a port that can change things: whoever brings the token, where one is set."""

import hmac
import ipaddress
from collections.abc import Iterable


def brings_token(headers: Iterable[tuple[bytes, bytes]], token: str) -> bool:
    """Tell whether a request has `authorization: Bearer` with the token, or none is set."""
    if not token:
        return True
    brought = [value for name, value in headers if name == b"authorization"]
    return len(brought) == 1 and hmac.compare_digest(brought[0], f"Bearer {token}".encode())


def is_loopback(bind: str) -> bool:
    """Return whether an address to listen on is reached from this machine only; a name that is not known to be, is not."""
    try:
        return ipaddress.ip_address(bind.strip("[]")).is_loopback
    except ValueError:
        return bind == "localhost"
