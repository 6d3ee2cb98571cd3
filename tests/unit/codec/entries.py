"""Journals of the protocol versions 1 to 3: frames as a deployment writes them, and a server that journals what it is told."""

from perdure.base.ids import InvocationId
from perdure.codec.service_protocol import codec_for
from perdure.codec.service_protocol import messages_pb2 as shared
from perdure.codec.service_protocol.entries import messages_pb2 as wire
from perdure.codec.service_protocol.entries.types import COMPLETED_FLAG, EntryType, encode_entry_frame
from perdure.codec.service_protocol.events import AttemptEvent, CommandSent, RunProposed
from perdure.codec.service_protocol.frames import ACK_FLAG, HEADER
from perdure.model import journal
from perdure.model.journal import CompletionType, Entry, Notification
from perdure.model.result import InvocationIdResult, Result, StateKeys, Success, Void

MIB = 1024 * 1024
ID = InvocationId(bytes(range(1, 25)))
CALLEE = "inv_1callee"
INPUT = journal.Input(b'"in"', (("a", "b"),))
END = encode_entry_frame(EntryType.END, b"")


def value(content: bytes) -> bytes:
    """Return the fields of a result that is a value."""
    return wire.Result(value=content).SerializeToString()


def failure(code: int, message: str) -> bytes:
    """Return the fields of a result that is a failure."""
    return wire.Result(failure=shared.Failure(code=code, message=message)).SerializeToString()


EMPTY = wire.Result(empty=shared.Void()).SerializeToString()


def frame(code: int, *parts: bytes, wants_ack: bool = False) -> bytes:
    """Return a frame of the parts of a payload."""
    payload = b"".join(parts)
    return HEADER.pack(code, ACK_FLAG if wants_ack else 0, len(payload)) + payload


def named(name: str = "") -> bytes:
    """Return the fields of an entry that has nothing but a name."""
    return wire.Named(name=name).SerializeToString()


def state_key(key: bytes) -> bytes:
    """Return the fields of an entry that reads or clears a key."""
    return wire.StateKey(key=key).SerializeToString()


def sleep(at_ms: int) -> bytes:
    """Return the frame of a sleep."""
    return frame(EntryType.SLEEP, wire.Sleep(wake_up_time=at_ms).SerializeToString())


def call(service: str = "Greeter", handler: str = "greet") -> bytes:
    """Return the frame of a call."""
    return frame(EntryType.CALL, wire.Call(service_name=service, handler_name=handler, parameter=b"1").SerializeToString())


def awakeable() -> bytes:
    """Return the frame of an awakeable."""
    return frame(EntryType.AWAKEABLE)


def suspension(*indexes: int) -> bytes:
    """Return the frame that ends an attempt until one of the entries has its result."""
    return frame(EntryType.SUSPENSION, wire.Suspension(entry_indexes=indexes).SerializeToString())


def completion(index: int, result: bytes) -> bytes:
    """Return the frame that completes an entry."""
    return frame(EntryType.COMPLETION, wire.Completion(entry_index=index).SerializeToString(), result)


def ack(index: int) -> bytes:
    """Return the frame that acknowledges an entry."""
    return frame(EntryType.ENTRY_ACK, wire.EntryAck(entry_index=index).SerializeToString())


def split(stream: bytes) -> list[tuple[int, bool, bytes]]:
    """Return the frames of a stream: type, whether the entry is completed, payload."""
    frames: list[tuple[int, bool, bytes]] = []
    while stream:
        code, flags, length = HEADER.unpack_from(stream)
        frames.append((code, bool(flags & COMPLETED_FLAG), stream[8 : 8 + length]))
        stream = stream[8 + length :]
    return frames


class Server:
    """A server in small: it journals what an attempt sends, at once or when told to, and tells the attempt what it journaled."""

    def __init__(self, version: int = 1, entries: list[Entry] | None = None) -> None:
        self.version = version
        self.journal: list[Entry] = entries if entries is not None else [INPUT]
        self.open()

    def open(self) -> bytes:
        """Begin an attempt; return the frames of start and replay."""
        self.encoder, self.decoder = codec_for(self.version, message_bytes_max=MIB)
        first = self.encoder.start(invocation_id=ID, debug_id="inv_1x", known_entries=len(self.journal), retry_count=3)
        return first + b"".join(self.encoder.entry(entry) for entry in list(self.journal))

    def receive(self, data: bytes) -> tuple[list[AttemptEvent], bytes]:
        """Journal what comes; return the events and what is sent back."""
        events = self.decoder.receive(data)
        return events, b"".join(self.append(event) for event in events)

    def append(self, event: AttemptEvent) -> bytes:
        """Journal one event; return what the attempt is told of it."""
        if isinstance(event, RunProposed):
            return self.notify(journal.Completion(CompletionType.RUN, event.proposal.completion_id, event.proposal.result))
        if not isinstance(event, CommandSent):
            return b""
        command = event.command
        index = sum(not isinstance(entry, journal.Completion | journal.Signal) for entry in self.journal)
        self.journal.append(command)
        told = b""
        if isinstance(command, journal.Call | journal.OneWayCall):
            callee = InvocationIdResult(CALLEE)
            told = self.notify(journal.Completion(CompletionType.CALL_INVOCATION_ID, command.invocation_id_completion_id, callee))
        elif isinstance(command, journal.GetLazyState):
            told = self.notify(journal.Completion(CompletionType.GET_LAZY_STATE, command.completion_id, Success(b"state")))
        elif isinstance(command, journal.GetLazyStateKeys):
            told = self.notify(journal.Completion(CompletionType.GET_LAZY_STATE_KEYS, command.completion_id, StateKeys((b"a", b"b"))))
        return told + (self.encoder.command_ack(index) if event.wants_ack else b"")

    def notify(self, notification: Notification) -> bytes:
        """Journal a notification; return what the attempt is told of it."""
        self.journal.append(notification)
        return self.encoder.notification(notification)

    def complete(self, kind: CompletionType, index: int, result: Result) -> bytes:
        """Journal the answer to the entry at `index`."""
        return self.notify(journal.Completion(kind, index, result))

    def cancel(self) -> bytes:
        """Journal a cancellation."""
        return self.notify(journal.Signal(1, None, Void()))
