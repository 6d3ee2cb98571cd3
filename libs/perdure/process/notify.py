"""Tell whoever started this process how it does, in the way of systemd: datagrams to the socket in `NOTIFY_SOCKET`."""

import os
import socket
from typing import Final

VARIABLE: Final = "NOTIFY_SOCKET"
ADDRESS_KEY: Final = "X_PERDURE_ADDRESS"


def notify_ready(address: str) -> None:
    """Send `READY=1` with the process id and the public address; does nothing where nobody asked to be told."""
    _send(f"READY=1\nMAINPID={os.getpid()}\n{ADDRESS_KEY}={address}")


def notify_stopping() -> None:
    """Send `STOPPING=1`."""
    _send(f"STOPPING=1\nMAINPID={os.getpid()}")


def notify_failed(reason: str) -> None:
    """Send `STATUS=`, in one line, why this process cannot go on."""
    _send(f"STATUS={' '.join(reason.split())}\nMAINPID={os.getpid()}")


def fields_of(datagram: bytes) -> dict[str, str]:
    """Return the fields of a notification."""
    lines = datagram.decode(errors="replace").splitlines()
    return {key: value for key, separator, value in (line.partition("=") for line in lines) if separator}


def _send(text: str) -> None:
    path = os.environ.get(VARIABLE, "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(text.encode(), address)
        except OSError:
            return  # whoever wanted to know is gone
