"""`PUT /log-level`: from which level on processes print, until they end."""

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from perdure.bus.interface import Bus
from perdure.bus.messages import VERSION, LogLevel, LogLevelSet, SetLogLevel, decoder_of, encode
from perdure.bus.subjects import Subjects
from perdure.process.peers import Peers
from services.nodectl.refusal import Refused

LEVELS: Final[tuple[str, ...]] = get_args(LogLevel)
ANSWER_S_MAX: Final = 2.0
"""How long processes may take to say that they did it."""

_answers: Final = decoder_of(LogLevelSet)


async def set_log_level(parameters: Mapping[str, str], bus: Bus, subjects: Subjects, peers: Peers) -> Any:
    """Tell the processes of `role` (all without one) the `level`, and return which of them took it, as JSON has it.

    Raises:
        Refused: There is no such level, or no process of the role.
    """
    wanted = _wanted(parameters)
    alive = peers.alive(wanted.role or None)
    if not alive:
        raise Refused(400, f"no process of role {wanted.role!r} is alive")
    replies = await bus.gather(subjects.log_level, encode(wanted), timeout_s=ANSWER_S_MAX, replies_max=len(alive))
    told = sorted((_answers.decode(reply) for reply in replies), key=lambda each: (each.role, each.process_id))
    return {"level": wanted.level, "processes": [{"role": each.role, "process_id": each.process_id} for each in told]}


def _wanted(parameters: Mapping[str, str]) -> SetLogLevel:
    try:
        level = msgspec.convert(parameters.get("level"), LogLevel)
    except msgspec.ValidationError:
        raise Refused(400, f"level is one of {', '.join(LEVELS)}") from None
    return SetLogLevel(VERSION, level, parameters.get("role", ""))
