"""What a deployment says during an attempt. Source: shared/spec/service-protocol.md, sections 4.2 and 5."""

import msgspec

from perdure.model.journal import AttemptError, Command, Future, RunProposal


class CommandSent(msgspec.Struct, frozen=True, gc=False):
    """The handler's next command; `wants_ack` asks for a CommandAck once it is durable."""

    command: Command
    wants_ack: bool = False


class RunProposed(msgspec.Struct, frozen=True, gc=False):
    """A run has ended; its result is to be journaled."""

    proposal: RunProposal


class AwaitingOn(msgspec.Struct, frozen=True):
    """What the handler waits for right now (V7); informational."""

    future: Future
    is_running_side_effects: bool = False


class Suspended(msgspec.Struct, frozen=True):
    """The attempt ended; another one is wanted once `future` is done. Terminal."""

    future: Future


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The attempt failed, as the SDK reports it. Terminal."""

    error: AttemptError


class Ended(msgspec.Struct, frozen=True, gc=False):
    """The invocation is complete; its result is the last Output. Terminal."""


AttemptEvent = CommandSent | RunProposed | AwaitingOn | Suspended | Failed | Ended
