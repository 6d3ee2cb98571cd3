"""`PUT /log-level`: from which level on processes print, until they end."""

from collections.abc import Mapping
from typing import Final, get_args
from urllib.parse import parse_qsl

import msgspec

from perdure.bus.interface import Bus
from perdure.bus.messages import VERSION, LogLevel, LogLevelSet, SetLogLevel, decoder_of, encode
from perdure.bus.subjects import Subjects
from perdure.process.peers import Peers

LEVELS: Final[tuple[str, ...]] = get_args(LogLevel)
ANSWER_S_MAX: Final = 2.0
"""How long processes may take to say that they did it."""

_answers: Final = decoder_of(LogLevelSet)


class BadLevel(ValueError):
    """The request names no level, or a role without a process."""


async def set_log_level(query: bytes, bus: Bus, subjects: Subjects, peers: Peers) -> bytes:
    """Tell the processes of `role` (all without one) the `level` of a query, and return those that took it, as JSON.

    Raises:
        BadLevel: It says what is wrong.
    """
    parameters = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    wanted = _wanted(parameters)
    alive = peers.alive(wanted.role or None)
    if not alive:
        raise BadLevel(f"no process of role {wanted.role!r} is alive")
    replies = await bus.gather(subjects.log_level, encode(wanted), timeout_s=ANSWER_S_MAX, replies_max=len(alive))
    told = sorted((_answers.decode(reply) for reply in replies), key=lambda each: (each.role, each.process_id))
    return msgspec.json.encode({"level": wanted.level, "processes": [{"role": each.role, "process_id": each.process_id} for each in told]})


def _wanted(parameters: Mapping[str, str]) -> SetLogLevel:
    try:
        level = msgspec.convert(parameters.get("level"), LogLevel)
    except msgspec.ValidationError:
        raise BadLevel(f"level is one of {', '.join(LEVELS)}") from None
    return SetLogLevel(VERSION, level, parameters.get("role", ""))
