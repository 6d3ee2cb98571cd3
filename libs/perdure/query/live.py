"""What invokers tell of the invocations that they are running: only they know attempts, retries and failures so far."""

from typing import Final

import msgspec
import structlog

from perdure.bus.interface import Bus, NoResponders
from perdure.bus.messages import LiveInvocation, LiveInvocations, decoder_of
from perdure.bus.subjects import Subjects
from perdure.process.peers import Peers
from perdure.query.table import LiveById

_ANSWER_S_MAX: Final = 0.5
_log = structlog.get_logger()


class LiveSource:
    """Asks all invokers that are alive; one that does not answer in time is left out, and the log says so."""

    def __init__(self, bus: Bus, subjects: Subjects, peers: Peers) -> None:
        self._bus = bus
        self._subjects = subjects
        self._peers = peers
        self._decoder = decoder_of(LiveInvocations)

    async def ask(self) -> LiveById:
        """Return what is known of each invocation that an invoker holds."""
        invokers = len(self._peers.alive("invoker"))
        if not invokers:
            return {}
        try:
            answers = await self._bus.gather(self._subjects.live, b"", timeout_s=_ANSWER_S_MAX, replies_max=invokers)
        except (NoResponders, TimeoutError):
            answers = []
        if len(answers) < invokers:
            _log.warning("invokers_did_not_tell", asked=invokers, answered=len(answers))
        return {each.invocation_id: each for answer in answers for each in self._decode(answer)}

    def _decode(self, answer: bytes) -> list[LiveInvocation]:
        try:
            return self._decoder.decode(answer).invocations
        except msgspec.DecodeError:
            return []  # of another version
