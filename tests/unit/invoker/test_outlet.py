"""Replies on their way to the bus: batched, and small enough for it."""

from typing import Any

from perdure.bus.messages import Completed, OwnerReplies, OwnerReply, decoder_of
from perdure.bus.subjects import Subjects
from perdure.model.result import Failure, Success
from services.invoker.outlet import FAILURE_CHARACTERS_MAX, MESSAGE_BYTES_MAX, BusOutlet
from tests.unit.invoker.builders import INGRESS

NATS_BYTES_MAX = 1 << 20
"""What a NATS server takes by default."""


class RecordingBus:
    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> None:
        assert (subject, reply) == (INGRESS, "")
        self.payloads.append(payload)


def sent(replies: list[OwnerReply]) -> tuple[list[OwnerReplies], RecordingBus]:
    bus = RecordingBus()
    nothing: Any = None
    on_bus: Any = bus
    outlet = BusOutlet(owner=nothing, attempts=nothing, mailboxes=nothing, bus=on_bus, subjects=Subjects(), clock=nothing, random=nothing)
    outlet.reply(INGRESS, replies)
    return [decoder_of(OwnerReplies).decode(payload) for payload in bus.payloads], bus


def test_small_replies_leave_in_one_message() -> None:
    messages, _ = sent([Completed(number, Success(b"v")) for number in range(100)])
    assert [len(message.replies) for message in messages] == [100]


def test_many_large_replies_are_spread_over_messages_that_the_bus_takes() -> None:
    replies: list[OwnerReply] = [Completed(number, Success(b"v" * 400_000)) for number in range(5)]
    messages, bus = sent(replies)
    assert [reply for message in messages for reply in message.replies] == replies
    assert max(len(payload) for payload in bus.payloads) <= MESSAGE_BYTES_MAX + 1_000


def test_a_failure_that_says_too_much_is_cut() -> None:
    for failure in (Failure(500, "é" * 2_000_000), Failure(500, "short", (("key", "v" * 2_000_000),))):
        ((message,), bus) = sent([Completed(1, failure)])
        (reply,) = message.replies
        assert isinstance(reply, Completed)
        assert isinstance(reply.result, Failure)
        assert reply.result.code == 500
        assert len(reply.result.message) <= FAILURE_CHARACTERS_MAX + 10
        assert len(bus.payloads[0]) < NATS_BYTES_MAX
