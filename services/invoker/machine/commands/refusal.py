"""How a command that breaks a rule fails the attempt. Source: shared/spec/service-protocol.md, section 5.4."""

from perdure.model.journal import AttemptError, Command


class CommandRefused(Exception):
    """The command and everything after it in this attempt are dropped; the attempt fails and is retried."""

    def __init__(self, message: str, doc_code: str) -> None:
        super().__init__(message)
        self.message = message
        self.doc_code = doc_code


def error_of(refusal: CommandRefused, command: Command, command_index: int) -> AttemptError:
    """Return the failure of the attempt, which names the command."""
    kind = type(command).__name__
    return AttemptError(
        code=500,
        message=f"cannot process command {kind} (command index {command_index}) because of a failed precondition: {refusal.message}",
        doc_code=refusal.doc_code,
        related_command_index=command_index,
        related_command_name=getattr(command, "name", "") or None,
        related_command_type=kind,
    )
