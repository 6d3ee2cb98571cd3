"""What a deployment sends during an attempt whose journal is a list of entries: bytes in, events out.

Source: shared/spec/service-protocol.md, section 8. Holds at most one incomplete frame, and what `Ledger` holds.
"""

from typing import Final

from google.protobuf.message import DecodeError

from perdure.base.errors import RemoteProtocolError
from perdure.base.ids import CANCEL_SIGNAL
from perdure.codec.service_protocol.entries.dialect import Dialect
from perdure.codec.service_protocol.entries.kept import keep
from perdure.codec.service_protocol.entries.ledger import CASCADE_NAME, Ledger, Mark, completion_id_of, signal_of
from perdure.codec.service_protocol.entries.types import EntryType
from perdure.codec.service_protocol.events import AttemptEvent, CommandSent, Ended, Failed, RunProposed, Suspended
from perdure.codec.service_protocol.frames import FRAME_SLACK_BYTES, FrameDecoder
from perdure.model.journal import Future, Run, RunProposal, SendSignal
from perdure.model.result import Outcome, Success, Void

_SERVER_SENDS: Final = frozenset({EntryType.START, EntryType.COMPLETION, EntryType.ENTRY_ACK, EntryType.INPUT})


class EntryDecoder:
    """Turn the response of one attempt into events.

    What follows the terminal frame is ignored.

    Args:
        dialect: The protocol of the attempt.
        ledger: Shared with the encoder of the attempt.
        message_bytes_max: A message may be this large and `FRAME_SLACK_BYTES` more.
    """

    def __init__(self, dialect: Dialect, ledger: Ledger, *, message_bytes_max: int) -> None:
        self._frames = FrameDecoder(payload_bytes_max=message_bytes_max + FRAME_SLACK_BYTES, name_of=dialect.name_of)
        self._dialect = dialect
        self._ledger = ledger
        self._has_ended = False

    @property
    def has_ended(self) -> bool:
        """Whether a terminal event was returned: `Ended`, `Suspended` or `Failed`."""
        return self._has_ended

    def receive(self, data: bytes) -> list[AttemptEvent]:
        """Return the events that `data` completes, in order; before them, cancellations that are to be passed on, even with no data.

        Raises:
            RemoteProtocolError: The deployment broke the protocol; the attempt is over.
        """
        if self._has_ended:
            return []
        events = self._pass_on()
        for code, wants_ack, payload in self._frames.receive(data):
            try:
                events += self._decode(code, wants_ack, payload)
            except DecodeError:
                raise RemoteProtocolError(f"message {self._dialect.name_of(code)} of {len(payload)} bytes is not valid protobuf") from None
            if self._has_ended:
                break
        return events

    def _pass_on(self) -> list[AttemptEvent]:
        callees, self._ledger.to_cancel = self._ledger.to_cancel, []
        for _ in callees:
            self._ledger.skip()
        return [CommandSent(SendSignal(callee, CANCEL_SIGNAL, None, Void(), CASCADE_NAME)) for callee in callees]

    def _decode(self, code: int, wants_ack: bool, payload: bytes) -> list[AttemptEvent]:
        ledger, dialect = self._ledger, self._dialect
        decode = dialect.decoders.get(code)
        if decode is not None:
            index = ledger.add()
            command = decode(payload, index, ledger)
            if wants_ack:
                ledger.acks_wanted.add(index)
            if completion_id_of(command) is None:
                return [CommandSent(command, wants_ack)]
            # The encoder must see when it becomes durable: before a cancellation, or after it.
            ledger.waiters.add(index)
            return [CommandSent(command, wants_ack=True)]
        run = dialect.decode_run(code, payload)
        if run is not None:
            return self._decode_run(*run)
        return self._keep(code, wants_ack, payload) if dialect.is_kept(code) else [self._control(code, payload)]

    def _decode_run(self, name: str, outcome: Outcome | None) -> list[AttemptEvent]:
        index = self._ledger.add()
        self._ledger.acks_wanted.add(index)
        if outcome is None:
            return self._run(index, Mark.EMPTY_RUN, name, Success(b""))
        return self._run(index, Mark.ENTRY, name, outcome)

    def _keep(self, code: int, wants_ack: bool, payload: bytes) -> list[AttemptEvent]:
        index = self._ledger.add()
        if wants_ack:
            self._ledger.acks_wanted.add(index)
        self._dialect.call_asked_for(code, payload)  # so that what is kept can be read
        return self._run(index, Mark.KEPT, self._dialect.name_of(code), keep(code, payload))

    def _run(self, index: int, mark: Mark, name: str, outcome: Outcome) -> list[AttemptEvent]:
        completion_id = mark | index
        if mark is not Mark.ENTRY:
            self._ledger.answered_by[index] = completion_id
        return [CommandSent(Run(completion_id, name)), RunProposed(RunProposal(completion_id, outcome))]

    def _control(self, code: int, payload: bytes) -> AttemptEvent:
        match code:
            case EntryType.END:
                self._has_ended = True
                return Ended()
            case EntryType.SUSPENSION:
                future = self._future(self._dialect.decode_suspension(payload))
                self._has_ended = True
                return Suspended(future)
            case EntryType.ERROR:
                error = self._dialect.decode_error(payload, self._ledger)
                self._has_ended = True
                return Failed(error)
            case _ if code in _SERVER_SENDS:
                raise RemoteProtocolError(f"message {self._dialect.name_of(code)}, which only the server sends")
            case _:
                raise RemoteProtocolError(f"message of unknown type {self._dialect.name_of(code)}")

    def _future(self, indexes: list[int]) -> Future:
        """Return what any one of the entries resolves, or a cancellation that the handler does not know of."""
        ledger = self._ledger
        if not indexes:
            raise RemoteProtocolError("message Suspension that waits for nothing")
        signals = tuple(signal_of(index) for index in indexes if index in ledger.awakeables)
        knows_cancellation = ledger.is_cancelled and ledger.cancelled.isdisjoint(indexes)
        return Future(
            completion_ids=tuple(ledger.answered_by.get(index, index) for index in indexes if index not in ledger.awakeables),
            signal_indexes=signals if knows_cancellation else (*signals, CANCEL_SIGNAL),
        )
