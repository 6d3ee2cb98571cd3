"""A listener that is about to close."""

import socket

import pytest

from perdure.process.closing import refuse_newcomers


def test_those_who_are_connected_stay_and_nobody_joins_them() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        address = listener.getsockname()
        with socket.create_connection(address) as early:
            refuse_newcomers(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.05)
            accepted, _ = listener.accept()
            with accepted:
                early.sendall(b"hello")
                assert accepted.recv(5) == b"hello"
