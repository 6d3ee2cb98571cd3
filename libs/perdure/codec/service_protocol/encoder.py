"""What the server sends during an attempt of version 4 or later: the start, the replayed journal, live notifications and acknowledgements.

Source: shared/spec/service-protocol.md, sections 3 to 5.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

from perdure.base.ids import InvocationId
from perdure.codec.service_protocol import messages_pb2 as wire
from perdure.codec.service_protocol.commands import ENCODERS
from perdure.codec.service_protocol.frames import HEADER, MessageType, encode_frame
from perdure.codec.service_protocol.parts import encode_result
from perdure.codec.service_protocol.versions import COMMANDS_VERSION_MIN, VERSION_MAX, content_type_of
from perdure.model.journal import Command, Completion, CompletionType, Entry, Notification, Signal
from perdure.model.result import InvocationIdResult, StateKeys

_COMPLETIONS: Final = {kind: MessageType[f"{kind.name}_COMPLETION"] for kind in CompletionType}


class AttemptEncoder:
    """Turn what an attempt is told into frames of one protocol version.

    Stateless but for the version: one object serves any number of attempts.
    """

    def __init__(self, version: int) -> None:
        assert COMMANDS_VERSION_MIN <= version <= VERSION_MAX
        self.content_type = content_type_of(version)
        self._has_metadata = version >= 6
        self._has_idempotency_key = version >= 7

    def start(
        self,
        *,
        invocation_id: InvocationId,
        debug_id: str,
        known_entries: int,
        state: Sequence[tuple[bytes, bytes]] = (),
        is_state_partial: bool = True,
        key: str = "",
        retry_count: int = 0,
        since_last_entry_ms: int = 0,
        random_seed: int = 0,
        idempotency_key: str | None = None,
    ) -> bytes:
        """Return the first frame of an attempt; `known_entries` frames of the journal follow.

        Args:
            state: Eager state, in key order.
            is_state_partial: Whether a key that is not in `state` may exist all the same.
            key: Of the object or workflow; empty for services.
            retry_count: Failed attempts since the journal last grew.
            random_seed: u64, the same for all attempts.
            idempotency_key: Told from V7 on.
        """
        message = wire.Start()
        message.id = invocation_id
        message.debug_id = debug_id
        message.known_entries = known_entries
        message.partial_state = is_state_partial
        message.key = key
        message.retry_count_since_last_stored_entry = retry_count
        message.duration_since_last_stored_entry = since_last_entry_ms
        message.random_seed = random_seed
        for name, value in state:
            entry = message.state_map.add()
            entry.key = name
            entry.value = value
        if idempotency_key is not None and self._has_idempotency_key:
            message.idempotency_key = idempotency_key
        return encode_frame(MessageType.START, message.SerializeToString())

    def entry(self, entry: Entry) -> bytes:
        """Return the frame of a journal entry, command or notification, as a replay sends it."""
        kind = type(entry)
        if kind is Completion or kind is Signal:
            return self.notification(cast("Notification", entry))
        # The row fits the entry's type by construction of the table.
        code, encode = ENCODERS[cast("type[Command]", kind)]
        payload: bytes = encode(cast("Any", entry), self._has_metadata).SerializeToString()
        return HEADER.pack(code, 0, len(payload)) + payload

    def notification(self, notification: Notification) -> bytes:
        """Return the frame of a completion or a signal."""
        message = wire.Notification()
        if type(notification) is Completion:
            code = _COMPLETIONS[notification.completion_type]
            message.completion_id = notification.completion_id
            result = notification.result
        else:
            assert type(notification) is Signal
            code = MessageType.SIGNAL
            if notification.signal_index is not None:
                message.signal_id = notification.signal_index
            else:
                assert notification.signal_name is not None
                message.signal_name = notification.signal_name
            result = notification.result
        if isinstance(result, InvocationIdResult):
            message.invocation_id = result.invocation_id
        elif isinstance(result, StateKeys):
            message.state_keys.SetInParent()
            message.state_keys.keys.extend(result.keys)
        else:
            encode_result(result, message, has_metadata=self._has_metadata)
        payload = message.SerializeToString()
        return HEADER.pack(code, 0, len(payload)) + payload

    def command_ack(self, index: int) -> bytes:
        """Return the acknowledgement of the command with this index among commands (Input is 0)."""
        return encode_frame(MessageType.COMMAND_ACK, wire.CommandAck(command_index=index).SerializeToString())

    def proposal_ack(self, completion_id: int) -> bytes:
        """Return the acknowledgement of a run proposal (V7): it stands for the full notification."""
        message = wire.ProposeRunCompletionAck(completion_id=completion_id)
        return encode_frame(MessageType.PROPOSE_RUN_COMPLETION_ACK, message.SerializeToString())
