"""What an attempt is made with, and how it can end."""

import enum

from perdure.codec.service_protocol import Codec
from perdure.model.deployment import Deployment
from perdure.registry.options import EffectiveOptions
from services.invoker.machine.view import CachedState


class Outcome(enum.StrEnum):
    """How an attempt ended."""

    ENDED = "ended"
    SUSPENDED = "suspended"
    FAILED = "failed"
    GIVEN_UP = "given up"
    """Nobody wants its results any more."""


class Plan:
    """What an attempt is made with: decided before it opens."""

    __slots__ = ("decoder", "deployment", "encoder", "options", "version")

    def __init__(self, deployment: Deployment, version: int, codec: Codec, options: EffectiveOptions) -> None:
        self.deployment = deployment
        self.version = version
        self.encoder, self.decoder = codec
        self.options = options


class PinnedState:
    """The state that an attempt is shown, in key order, and what keeps it in memory meanwhile."""

    __slots__ = ("_state", "entries")

    def __init__(self, state: CachedState, entries: list[tuple[bytes, bytes]]) -> None:
        self._state = state
        self.entries = entries

    def unpin(self) -> None:
        """Let the state leave memory."""
        self._state.pins -= 1
        self.entries = []
