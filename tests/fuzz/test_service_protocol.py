"""Broken streams of deployments, for each version of the service protocol: an event, a protocol error, or nothing yet; nothing else.

Streams of good frames are broken in `BATCH` ways each, so that 10^5 inputs take seconds and a failure still shrinks.
"""

import random
import resource
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.base.errors import RemoteProtocolError
from perdure.codec.service_protocol import AttemptEncoder, codec_for
from perdure.codec.service_protocol.frames import FRAME_SLACK_BYTES, HEADER, encode_frame
from perdure.model import journal
from perdure.model.journal import CompletionType
from perdure.model.result import Failure, Success, Void
from tests.unit.codec import entries
from tests.unit.codec import test_service_protocol_seed as seed
from tests.unit.codec.entries import Server
from tests.unit.codec.test_service_protocol_entries import ENTRIES

VERSIONS: Final = range(8)  # 0 is the seed era's
BATCH: Final = 150
EXAMPLES: Final = 100  # of each version: 8 * 100 * 150 inputs
GROWTH_KIB_MAX: Final = 64 * 1024
MESSAGE_BYTES_MAX: Final = 4 * 1024

TARGET: Final = journal.CallTarget("S", "h", "k", "i")
COMMANDS: Final[list[journal.Command]] = [
    *(command for _, command in ENTRIES),
    journal.Run(3, "r"),
    journal.Call(TARGET, b"p", (("a", "b"),), 1, 2, "n"),
    journal.SendSignal("inv_1x", None, "s", Failure(500, "m", (("a", "b"),))),
    journal.AttachInvocation(journal.IdempotentTarget("S", "k", "h", "i"), 5),
]
CONTROL: Final = [  # of versions 4 and later
    encode_frame(0x0003, b""),
    encode_frame(0x0005, bytes.fromhex("08017203616263")),
    encode_frame(0x0001, bytes.fromhex("0a0301020322021105")),
    encode_frame(0x0006, bytes.fromhex("0a0c 0a0101 2205 0a0102 2800 2801".replace(" ", ""))),
    encode_frame(0x0002, bytes.fromhex("08ba04 1203616263 2002 4064".replace(" ", ""))),
]
OLD: Final = [
    *(sent for sent, _ in ENTRIES),
    entries.frame(0x0C05, entries.named("r"), entries.value(b"v"), wants_ack=True),
    entries.frame(0x0C07, b"\x08\x01"),
    entries.frame(0xFC02, b"custom", wants_ack=True),
    entries.suspension(1, 2, 3),
    entries.END,
]


SEED: Final = [*(sent for sent, _ in seed.ENTRIES), *seed.KEPT, entries.suspension(1, 2, 3), entries.END]


def corpus(version: int) -> list[bytes]:
    if version == 0:
        return SEED
    return OLD if version < 4 else [*(AttemptEncoder(version).entry(command) for command in COMMANDS), *CONTROL]


def flip(stream: bytearray, dice: random.Random) -> None:
    stream[dice.randrange(len(stream))] ^= 1 << dice.randrange(8)


def overwrite(stream: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(stream))
    stream[at : at + 4] = dice.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x80\x80\x80\x80", b"\0\0\x10\0", dice.randbytes(4)])


def drop(stream: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(stream))
    del stream[at : at + dice.randrange(1, 9)]


def double(stream: bytearray, dice: random.Random) -> None:
    at, to = dice.randrange(len(stream)), dice.randrange(len(stream))
    stream[to:to] = stream[at : at + dice.randrange(1, 40)]


def insert(stream: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(stream))
    stream[at:at] = dice.randbytes(dice.randrange(1, 9))


def retype(stream: bytearray, dice: random.Random) -> None:
    HEADER.pack_into(stream, 0, dice.choice([dice.randrange(0x10000), dice.randrange(0x400, 0x415)]), 0, len(stream) - 8)


BREAKS: Final[list[Callable[[bytearray, random.Random], None]]] = [flip, overwrite, drop, double, insert, retype]


def broken(frames: list[bytes], dice: random.Random) -> Iterator[bytes]:
    whole = b"".join(frames)
    for _ in range(BATCH):
        stream = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            if len(stream) > 8:
                dice.choice(BREAKS)(stream, dice)
        yield bytes(stream)


def journal_of(server: Server, stream: bytes, cut: int) -> None:
    """Journal what a stream says, until it breaks."""
    for part in (stream[:cut], stream[cut:]):
        server.receive(part)


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chosen=st.lists(st.integers(0, 1_000), min_size=1, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_a_broken_stream_is_refused_or_can_be_replayed(version: int, chosen: list[int], seed: int) -> None:
    frames, dice = corpus(version), random.Random(seed)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for stream in broken([frames[index % len(frames)] for index in chosen], dice):
        server = Server(version)
        try:
            journal_of(server, stream, dice.randrange(len(stream) + 1))
        except RemoteProtocolError:
            continue
        server.cancel()
        assert server.open()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < GROWTH_KIB_MAX


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_stream_that_announces_too_much_is_refused_before_it_comes(version: int, seed: int) -> None:
    dice = random.Random(seed)
    _, decoder = codec_for(version, message_bytes_max=MESSAGE_BYTES_MAX)
    length = dice.randrange(MESSAGE_BYTES_MAX + FRAME_SLACK_BYTES, 2**32)
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.receive(HEADER.pack(dice.randrange(0x10000), 0, length))
    assert caught.value.code == "RT0003"


@pytest.mark.parametrize("version", VERSIONS)
def test_completions_of_every_kind_are_encoded(version: int) -> None:
    server = Server(version)
    for kind in CompletionType:
        if kind not in (CompletionType.RUN, CompletionType.CALL_INVOCATION_ID):
            assert server.complete(kind, kind + 1, Void())
            assert server.complete(kind, kind + 100, Success(b"v"))
