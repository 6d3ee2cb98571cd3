"""The error of an attempt, as a deployment reports it. Source: shared/spec/service-protocol.md, sections 4.2 and 6.4."""

from collections.abc import Callable
from typing import Final

from perdure.codec.service_protocol import messages_pb2 as wire
from perdure.codec.service_protocol.parts import decode_code
from perdure.model.journal import AttemptError, ErrorBehavior

_DOC_CODES: Final = {570: "RT0016", 571: "RT0012"}
_DOC_CODE_DEFAULT: Final = "RT0007"


def attempt_error(
    message: wire.Error, *, name_of: Callable[[int], str], command_index: int | None, behavior: ErrorBehavior = ErrorBehavior.RETRY
) -> AttemptError:
    """Return the error of a message; `name_of` names its type codes."""
    return AttemptError(
        code=decode_code(message.code),
        message=message.message,
        doc_code=_DOC_CODES.get(message.code, _DOC_CODE_DEFAULT),
        stacktrace=message.stacktrace,
        related_command_index=command_index,
        related_command_name=message.related_command_name if message.HasField("related_command_name") else None,
        related_command_type=name_of(message.related_command_type) if message.HasField("related_command_type") else None,
        next_retry_delay_ms=message.next_retry_delay if message.HasField("next_retry_delay") else None,
        behavior=behavior,
    )
