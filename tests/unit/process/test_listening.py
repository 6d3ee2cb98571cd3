"""The socket of a public port, and what is said where there can be none."""

import socket
from collections.abc import Iterator

import pytest

from perdure.process.listening import CannotListen, PortTaken, address_of, listen


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_port_0_is_any_free_one_and_the_address_says_which() -> None:
    with listen("127.0.0.1", 0) as listener:
        host, _, port = address_of(listener).rpartition(":")
        assert (host, int(port) > 0) == ("127.0.0.1", True)
        socket.create_connection((host, int(port))).close()


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
def test_an_address_of_ipv6_stands_in_brackets() -> None:
    try:
        listener = listen("::1", 0)
    except CannotListen:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert address_of(listener).startswith("[::1]:")


def test_a_port_that_is_taken_is_told_apart_from_an_address_that_is_not_ours(taken_port: int) -> None:
    with pytest.raises(PortTaken, match=f"127.0.0.1:{taken_port}: Address already in use"):
        listen("127.0.0.1", taken_port)
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1:0: Cannot assign") as refused:
        listen("192.0.2.1", 0)
    assert "address of this machine" in refused.value.hint


def test_a_name_that_nobody_knows_is_named() -> None:
    with pytest.raises(CannotListen, match=r"cannot listen on nowhere\.invalid"):
        listen("nowhere.invalid", 0)
