"""Broken streams of PostgreSQL clients: messages, a protocol error, or nothing yet; and whatever comes out can be worked with.

Good streams are broken in `BATCH` ways each, so that 10^5 inputs take seconds and a failure still shrinks.
"""

import random
import resource
import struct
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.codec.pgwire import frontend as fe
from perdure.codec.pgwire.scram import ScramError, ScramExchange, credentials_of
from perdure.codec.pgwire.values import InvalidParameter, Oid, decode_parameter
from perdure.query.errors import QueryError
from perdure.query.postgres.dialect import rewritten
from services.sql.copying import parse_copy
from services.sql.statements import Kind, split

BATCH: Final = 250
EXAMPLES: Final = 400  # 400 * 250 inputs
GROWTH_KIB_MAX: Final = 64 * 1024
MESSAGE_BYTES_MAX: Final = 64 * 1024
CREDENTIALS: Final = credentials_of("password", b"salt")


def message(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack(">i", len(content) + 4) + content


def startup(*parameters: str) -> bytes:
    content = struct.pack(">i", 196608) + b"".join(parameter.encode() + b"\0" for parameter in parameters) + b"\0"
    return struct.pack(">i", len(content) + 4) + content


def bind(*values: bytes | None, code: int) -> bytes:
    parts = [struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value for value in values]
    return message(b"B", b"p\0s\0" + struct.pack(">HhH", 1, code, len(values)) + b"".join(parts) + struct.pack(">Hh", 1, 1))


STARTUPS: Final = [
    startup("user", "a", "database", "b", "options", "-c search_path=v0_8"),
    struct.pack(">ii", 8, 80877103) + startup("user", "a"),
    struct.pack(">iiii", 16, 80877102, 7, 9),
]
MESSAGES: Final = [
    message(b"Q", b"SELECT 1; COPY (SELECT 'a''b' FROM pg_class c WHERE c.oid = 'x'::regclass) TO STDOUT (FORMAT csv)\0"),
    message(b"Q", b"SET search_path = v0_8; SELECT ARRAY(SELECT 1 FROM pg_roles), CAST($1 AS regtype), (x).y LIKE 'a' ESCAPE '/'\0"),
    message(b"P", b"s\0SELECT $1::int8, $2::text[] FROM sys_invocation WHERE created_at > $3\0" + struct.pack(">HIII", 3, 0, 1009, 25)),
    bind(b"1", b'{a,"b\\"c",NULL}', None, code=0),
    bind(bytes(8), struct.pack(">iiIiii", 1, 0, 25, 1, 1, 1) + b"a", b"x", code=1),
    message(b"D", b"Ss\0"),
    message(b"E", b"p\0" + struct.pack(">i", 10)),
    message(b"C", b"Pp\0"),
    message(b"p", b"SCRAM-SHA-256\0" + struct.pack(">i", 20) + b"n,,n=,r=0123456789ab"),
    message(b"S", b""),
    message(b"H", b""),
    message(b"X", b""),
]


def flip(stream: bytearray, dice: random.Random) -> None:
    stream[dice.randrange(len(stream))] ^= 1 << dice.randrange(8)


def overwrite(stream: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(stream))
    stream[at : at + 4] = dice.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\x10\0", dice.randbytes(4)])


def drop(stream: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(stream))
    del stream[at : at + dice.randrange(1, 9)]


def double(stream: bytearray, dice: random.Random) -> None:
    at, to = dice.randrange(len(stream)), dice.randrange(len(stream))
    stream[to:to] = stream[at : at + dice.randrange(1, 40)]


def insert(stream: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(stream))
    stream[at:at] = dice.choice([dice.randbytes(dice.randrange(1, 9)), b"'", b"(", b")", b"::", b";", b"$$", b"\0"])


BREAKS: Final[list[Callable[[bytearray, random.Random], None]]] = [flip, overwrite, drop, double, insert]


def broken(whole: bytes, dice: random.Random) -> Iterator[bytes]:
    for _ in range(BATCH):
        stream = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            if len(stream) > 8:
                dice.choice(BREAKS)(stream, dice)
        yield bytes(stream)


def work_with(received: fe.FrontendMessage, dice: random.Random) -> None:
    """Do with a message what a session does before it asks the engine."""
    match received:
        case fe.Query(sql) | fe.Parse(_, sql, _):
            for statement in split(sql):
                rewritten(statement.sql)
                if statement.kind is Kind.COPY:
                    parse_copy(statement.sql)
        case fe.Bind():
            for value in received.parameters:
                decode_parameter(value, dice.choice(list(Oid)), dice.randrange(2))
        case fe.AuthenticationResponse():
            ScramExchange(CREDENTIALS, "nonce").first(received.initial()[1])
        case _:
            pass


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(begin=st.integers(0, 2), chosen=st.lists(st.integers(0, 1_000), max_size=4), seed=st.integers(0, 2**32 - 1))
def test_a_broken_stream_is_messages_or_a_protocol_error(begin: int, chosen: list[int], seed: int) -> None:
    dice = random.Random(seed)
    whole = STARTUPS[begin] + b"".join(MESSAGES[index % len(MESSAGES)] for index in chosen)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for stream in broken(whole, dice):
        decoder = fe.FrontendDecoder(message_bytes_max=MESSAGE_BYTES_MAX)
        cut = dice.randrange(len(stream) + 1)
        try:
            for part in (stream[:cut], stream[cut:]):
                for received in decoder.receive(part):
                    work_with(received, dice)
        except (fe.PostgresProtocolError, InvalidParameter, ScramError, QueryError):
            continue
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < GROWTH_KIB_MAX


@given(kind=st.sampled_from(b"QPBDECp"), length=st.integers(MESSAGE_BYTES_MAX + 1, 2**31 - 1))
def test_a_message_that_announces_too_much_is_refused_before_it_comes(kind: int, length: int) -> None:
    decoder = fe.FrontendDecoder(message_bytes_max=MESSAGE_BYTES_MAX)
    assert len(list(decoder.receive(startup("user", "a")))) == 1
    with pytest.raises(fe.PostgresProtocolError):
        list(decoder.receive(bytes([kind]) + struct.pack(">i", length)))
