"""Broken requests of gRPC, gRPC-Web and Connect: a message, a call that failed, nothing else.

Bodies of good requests are broken in `BATCH` ways each, so that 10^5 inputs take seconds and a failure still shrinks.
"""

import base64
import contextlib
import gzip
import random
import resource
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.codec.descriptors.errors import BadMessage
from perdure.codec.descriptors.keys import encode_varint
from perdure.codec.rpc.connect import ConnectCall, ConnectGetCall
from perdure.codec.rpc.grpc import encode_message
from perdure.codec.rpc.grpc_unary import GrpcCall, GrpcWebCall
from perdure.codec.rpc.status import CallFailed
from perdure.codec.rpc.unary import UnaryCall
from perdure.model.deployment import Handler, InputRules, OutputRules, Service
from perdure.model.target import HandlerType, ServiceType
from services.ingress.rpc.today import TodayService
from tests.fuzz.test_service_protocol import double, drop, flip, insert, overwrite

BATCH: Final = 200
EXAMPLES: Final = 85  # of each protocol: 6 * 85 * 200 inputs
GROWTH_KIB_MAX: Final = 64 * 1024
LIMIT: Final = 4 * 1024
BREAKS: Final = [flip, overwrite, drop, double, insert]

PROPERTIES: Final = {
    "name": {"type": "string"},
    "size": {"type": "integer"},
    "parts": {"type": "array", "items": {"type": "number"}},
    "inner": {"type": "object", "properties": {"any": {}}},
}
RULES: Final = {"content_type": "application/json", "json_schema": {"type": "object", "properties": PROPERTIES}}
HANDLER: Final = Handler("take", HandlerType.EXCLUSIVE, InputRules(**RULES), OutputRules(**RULES))
REQUEST, RESPONSE = TodayService(Service("S", ServiceType.VIRTUAL_OBJECT, 1, "dp_1", {"take": HANDLER})).bodies("take")
MESSAGE: Final = b"\x0a\x01k" + RESPONSE.write(b'{"name":"Ada","size":5,"parts":[1,2.5],"inner":{"any":{"a":[1,null,"x"]}}}')


def grpc() -> UnaryCall:
    return GrpcCall({b"content-type": b"application/grpc", b"grpc-encoding": b"gzip"}, message_bytes_max=LIMIT)


def web(kind: bytes) -> UnaryCall:
    return GrpcWebCall({b"content-type": kind, b"grpc-encoding": b"gzip"}, message_bytes_max=LIMIT)


def connect(encoding: bytes) -> UnaryCall:
    headers = {b"content-type": b"application/proto", b"content-encoding": encoding}
    return ConnectCall(headers, is_json=False, names_version=True, message_bytes_max=LIMIT)


FRAMES: Final = encode_message(MESSAGE) + encode_message(gzip.compress(MESSAGE, mtime=0), flags=1)
CASES: Final[dict[str, tuple[Callable[[], UnaryCall], bytes]]] = {
    "grpc": (grpc, FRAMES),
    "grpc gzip": (grpc, encode_message(gzip.compress(MESSAGE, mtime=0), flags=1)),
    "web": (lambda: web(b"application/grpc-web"), FRAMES),
    "web text": (lambda: web(b"application/grpc-web-text"), base64.b64encode(FRAMES)),
    "connect": (lambda: connect(b"identity"), MESSAGE),
    "connect gzip": (lambda: connect(b"gzip"), gzip.compress(MESSAGE, mtime=0)),
}


def broken(whole: bytes, dice: random.Random) -> bytes:
    stream = bytearray(whole)
    for _ in range(dice.randrange(1, 4)):
        if len(stream) > 8:
            dice.choice(BREAKS)(stream, dice)
    return bytes(stream[: dice.randrange(len(stream) + 1)] if dice.randrange(3) == 0 else stream)


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1))
def test_a_broken_body_gives_a_message_or_a_failed_call(case: str, seed: int) -> None:
    make, body = CASES[case]
    dice = random.Random(seed)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(BATCH):
        try:
            message = make().request(broken(body, dice))
        except CallFailed as failed:
            make().failure(failed)
            continue
        assert len(message) <= LIMIT
        try:
            key, _ = REQUEST.read(message)
        except BadMessage:
            continue
        assert isinstance(key, str)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < GROWTH_KIB_MAX


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"encoding=json&message=", b"encoding=proto&base64=1&message=", b"connect=v1&", b""]))
def test_a_query_of_any_bytes_gives_a_message_or_a_failed_call(query: bytes, start: bytes) -> None:
    call = ConnectGetCall({}, start + query, message_bytes_max=LIMIT)
    with contextlib.suppress(CallFailed):
        assert len(call.request(b"")) <= LIMIT


def test_a_message_that_announces_too_much_is_refused_before_it_comes() -> None:
    with pytest.raises(CallFailed):
        grpc().request(b"\0" + (LIMIT + 1).to_bytes(4, "big"))
    with pytest.raises(BadMessage):
        REQUEST.read(b"\x0a" + encode_varint(2**31))
