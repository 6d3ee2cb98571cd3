"""Open the socket that a public port listens on."""

import errno
import socket
from typing import Final

from perdure.base.errors import ConfigurationError

BACKLOG: Final = 2048


class CannotListen(ConfigurationError):
    """The address is none of this machine, or the port not for this user."""

    hint = "Set bind to an address of this machine, and port to one that this user may open."


class PortTaken(CannotListen):
    """Another process listens on the port."""

    hint = "Stop the other process, or choose another port."


def listen(bind: str, port: int) -> socket.socket:
    """Return a socket that listens and does not block.

    Args:
        bind: Address or host name.
        port: 0 for any free one.

    Raises:
        PortTaken: The port is in use.
        CannotListen: The system refuses for another reason.
    """
    try:
        found = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise CannotListen(f"cannot listen on {bind}: {error.strerror}") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        refusal = PortTaken if error.errno == errno.EADDRINUSE else CannotListen
        raise refusal(f"cannot listen on {bind}:{port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """Return `host:port`, the host in brackets where it is of IPv6."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
