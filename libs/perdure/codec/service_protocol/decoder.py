"""What a deployment sends during an attempt of version 4 or later: bytes in, events out.

Source: shared/spec/service-protocol.md, sections 3 to 6. Holds at most one incomplete frame.
"""

from typing import Final

from google.protobuf.message import DecodeError

from perdure.base.errors import RemoteProtocolError
from perdure.codec.service_protocol import messages_pb2 as wire
from perdure.codec.service_protocol.commands import DECODERS
from perdure.codec.service_protocol.errors import attempt_error
from perdure.codec.service_protocol.events import AttemptEvent, AwaitingOn, CommandSent, Ended, Failed, RunProposed, Suspended
from perdure.codec.service_protocol.frames import FRAME_SLACK_BYTES, FrameDecoder, MessageType, name_of
from perdure.codec.service_protocol.parts import decode_failure, decode_future, has_leaf, missing
from perdure.codec.service_protocol.versions import COMMANDS_VERSION_MIN, VERSION_MAX
from perdure.model.journal import AttemptError, ErrorBehavior, Future, RunProposal
from perdure.model.result import Outcome, Success

_BEHAVIORS: Final = {int(behavior): behavior for behavior in ErrorBehavior}
_SERVER_SENDS: Final = frozenset(
    {MessageType.START, MessageType.COMMAND_ACK, MessageType.PROPOSE_RUN_COMPLETION_ACK} | {code for code in MessageType if code >= 0x8000}
)


class AttemptDecoder:
    """Turn the response of one attempt into events.

    What follows the terminal frame is ignored.

    Args:
        version: The protocol version of the attempt.
        message_bytes_max: A message may be this large and `FRAME_SLACK_BYTES` more.
    """

    def __init__(self, version: int, *, message_bytes_max: int) -> None:
        assert COMMANDS_VERSION_MIN <= version <= VERSION_MAX
        self._frames = FrameDecoder(payload_bytes_max=message_bytes_max + FRAME_SLACK_BYTES)
        self._has_futures = version >= 7
        self._has_ended = False

    @property
    def has_ended(self) -> bool:
        """Whether a terminal event was returned: `Ended`, `Suspended` or `Failed`."""
        return self._has_ended

    def receive(self, data: bytes) -> list[AttemptEvent]:
        """Return the events that `data` completes, in order.

        Raises:
            RemoteProtocolError: The deployment broke the protocol; the attempt is over. `code` says which way.
        """
        if self._has_ended:
            return []
        events: list[AttemptEvent] = []
        for code, wants_ack, payload in self._frames.receive(data):
            decode = DECODERS.get(code)
            try:
                if decode is not None:
                    events.append(CommandSent(decode(payload), wants_ack))
                    continue
                events.append(self._control(code, wants_ack, payload))
            except DecodeError:
                raise RemoteProtocolError(f"message {name_of(code)} of {len(payload)} bytes is not valid protobuf") from None
            if self._has_ended:
                break
        return events

    def _control(self, code: int, wants_ack: bool, payload: bytes) -> AttemptEvent:
        match code:
            case MessageType.END:
                self._has_ended = True
                return Ended()
            case MessageType.PROPOSE_RUN_COMPLETION:
                return RunProposed(_decode_proposal(payload, wants_ack=wants_ack and self._has_futures))
            case MessageType.SUSPENSION:
                future = self._decode_suspension(payload)
                self._has_ended = True
                return Suspended(future)
            case MessageType.ERROR:
                error = self._decode_error(payload)
                self._has_ended = True
                return Failed(error)
            case MessageType.AWAITING_ON if self._has_futures:
                message = wire.AwaitingOn.FromString(payload)
                if not message.HasField("awaiting_on"):
                    raise missing(message, "a future")
                return AwaitingOn(decode_future(message.awaiting_on), message.executing_side_effects)
            case _ if code in _SERVER_SENDS:
                raise RemoteProtocolError(f"message {name_of(code)}, which only the server sends")
            case _:
                raise RemoteProtocolError(f"message of unknown type {name_of(code)}")

    def _decode_suspension(self, payload: bytes) -> Future:
        message = wire.Suspension.FromString(payload)
        if self._has_futures:
            if not message.HasField("awaiting_on"):
                raise missing(message, "a future")
            future = decode_future(message.awaiting_on)
        else:
            future = Future(tuple(message.waiting_completions), tuple(message.waiting_signals), tuple(message.waiting_named_signals))
        if not has_leaf(future):
            raise RemoteProtocolError("message Suspension that waits for nothing")
        return future

    def _decode_error(self, payload: bytes) -> AttemptError:
        message = wire.Error.FromString(payload)
        behavior = _BEHAVIORS.get(message.behavior, ErrorBehavior.RETRY) if self._has_futures else ErrorBehavior.RETRY
        index = message.related_command_index if message.HasField("related_command_index") else None
        return attempt_error(message, name_of=name_of, command_index=index, behavior=behavior)


def _decode_proposal(payload: bytes, *, wants_ack: bool) -> RunProposal:
    message = wire.ProposeRunCompletion.FromString(payload)
    result: Outcome
    match message.WhichOneof("result"):
        case "value":
            result = Success(message.value)
        case "failure":
            result = decode_failure(message.failure)
        case _:
            raise missing(message, "result")
    return RunProposal(message.result_completion_id, result, wants_ack)
