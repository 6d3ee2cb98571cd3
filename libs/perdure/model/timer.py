"""What a timer row means. Source: shared/spec/lifecycle.md, sections 4.4 and 8."""

import enum
from typing import Final, NamedTuple

from perdure.base.ids import InvocationId


class TimerKind(enum.IntEnum):
    """The value of a timer row, one byte."""

    SLEEP = 1
    START = 2
    """A scheduled invocation falls due."""
    EXPIRE = 3
    """The retention of a completion ends."""
    EXPIRE_JOURNAL = 4
    """The retention of a journal ends before that of its completion."""


class Timer(NamedTuple):
    """A timer in order of firing. `number` is the completion id of a sleep, or one of the constants below."""

    at_ms: int
    invocation_id: InvocationId
    number: int
    kind: TimerKind


START_INDEX: Final = 0
EXPIRE_INDEX: Final = 1 << 40
EXPIRE_JOURNAL_INDEX: Final = EXPIRE_INDEX + 1
VALUES: Final = {kind: bytes((kind,)) for kind in TimerKind}
