"""The ingress byte by byte: what HTTP allows beyond what client libraries send. Holds for the real server as well."""

import json
import socket
from typing import Final

import httpcore
import pytest

from tests.e2e.suite import Suite

ECHO: Final = b'host: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n"a"'
NOTHING: Final = b"host: a\r\nconnection: close\r\n\r\n"
CHUNKED: Final = b"host: a\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"


def exchange(suite: Suite, *parts: bytes) -> bytes:
    """Send bytes, each part by itself, and return all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", suite.ingress_port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
        received = b""
        while data := connection.recv(65_536):
            received += data
    return received


# What is answered with a result: request, end of the answer.
RESULTS: Final = [
    (b"POST http://some.host:80/Contract/echo HTTP/1.1\r\n" + ECHO, b'"a"'),
    (b"POST HTTP://some.host/Contract/path?x=1 HTTP/1.1\r\n" + NOTHING, b'"/Contract/path?x=1"'),
    ("POST /ContractObject/\u00e4/key HTTP/1.1\r\n".encode() + NOTHING, b'"\\u00e4"'),
    (b"POST /Contract/echo HTTP/1.0\r\n" + ECHO, b'"a"'),
    (b"POST /Contract/echo HTTP/1.1\r\n" + CHUNKED + b'1\r\n"\r\n2\r\na"\r\n0\r\n\r\n', b'"a"'),
    (b"POST /Contract/echo HTTP/1.1\r\nexpect: 100-continue\r\n" + ECHO, b'"a"'),
    (b"POST /Contract/echo HTTP/1.1\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n" + ECHO, b'"a"'),
    (b"POST /Contract/echo HTTP/1.1\r\n" + b"".join(b"x-%d: 1\r\n" % n for n in range(90)) + ECHO, b'"a"'),
    (b"POST /Contract/echo?" + b"a" * 12_000 + b" HTTP/1.1\r\n" + ECHO, b'"a"'),
]

# What is refused: request, status.
REFUSED: Final = [
    (b"\x00\x01\r\n\r\n", 400),
    (b"POST Contract/echo HTTP/1.1\r\n" + ECHO, 400),
    (b"POST http://some.host HTTP/1.1\r\n" + ECHO, 400),
    (b"POST * HTTP/1.1\r\n" + NOTHING, 400),
    (b"POST /a b HTTP/1.1\r\n" + NOTHING, 400),
    (b"POST /Contract/echo HTTP/1.1\r\ncontent-length: 4\r\n" + ECHO, 400),
    (b"POST /Contract/echo HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", 400),
    (b"CONNECT /Contract/echo HTTP/1.1\r\n" + NOTHING, 405),
    (b"post /Contract/echo HTTP/1.1\r\n" + ECHO, 405),
    (b"POST /Contract/echo HTTP/1.1\r\n" + b"".join(b"x-%d: 1\r\n" % n for n in range(101)) + ECHO, 431),
]


@pytest.mark.parametrize(("request_bytes", "ending"), RESULTS)
def test_a_request_is_answered_with_a_result(contract_services: Suite, request_bytes: bytes, ending: bytes) -> None:
    answer = exchange(contract_services, request_bytes)
    assert b" 200 OK\r\n" in answer
    assert answer.endswith(b"\r\n\r\n" + ending)


@pytest.mark.parametrize(("request_bytes", "status"), REFUSED)
def test_a_request_is_refused(contract_services: Suite, request_bytes: bytes, status: int) -> None:
    answer = exchange(contract_services, request_bytes)
    assert answer.startswith(b"HTTP/1.1 %d " % status)


def test_a_body_is_only_asked_for_where_the_request_is_good(contract_services: Suite) -> None:
    good = exchange(contract_services, b"POST /Contract/echo HTTP/1.1\r\nexpect: 100-continue\r\n" + ECHO)
    assert good.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    bad = exchange(contract_services, b"POST /Nope/echo HTTP/1.1\r\nexpect: 100-continue\r\n" + ECHO)
    assert bad.startswith(b"HTTP/1.1 404 ")


def test_requests_behind_each_other_are_answered_in_their_order(contract_services: Suite) -> None:
    first = b'POST /Contract/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n"first"'
    answer = exchange(contract_services, first + b"POST /Contract/echo HTTP/1.1\r\n" + ECHO)
    assert answer.count(b" 200 OK\r\n") == 2
    assert answer.index(b'"first"') < answer.index(b'"a"')


def test_a_request_may_come_in_pieces_of_any_size(contract_services: Suite) -> None:
    request = "POST /ContractObject/\u00e4/key HTTP/1.1\r\n".encode() + NOTHING
    assert exchange(contract_services, request[:30], request[30:40], request[40:]).endswith(b'"\\u00e4"')
    request = b"POST /Contract/echo HTTP/1.1\r\n" + ECHO
    assert exchange(contract_services, *(bytes([byte]) for byte in request)).endswith(b'"a"')


def test_a_key_may_have_any_bytes_over_http2(contract_services: Suite) -> None:
    url = httpcore.URL(scheme=b"http", host=b"127.0.0.1", port=contract_services.ingress_port, target="/ContractObject/\u00e4/key".encode())
    with httpcore.ConnectionPool(http1=False, http2=True) as pool:
        answer = pool.request("POST", url)
    assert (answer.status, json.loads(answer.content)) == (200, "\u00e4")
