"""What both directions of an attempt of the versions 1 to 3 know of its journal.

An old entry is one command of the journal. Where commands and entries differ:

- An awakeable is a run that has no proposal: it keeps the place of the entry. Its result is the signal `index + AWAKEABLE_OFFSET`, which is
  what its id stands for.
- A run comes with its result: a run and its proposal.
- What has no command of its own (entries that only an SDK understands, and the question for the id of a callee) is a run whose proposal
  holds the entry as it came.
- A cancellation completes all entries that wait, or else the next one that will wait. Calls that waited are passed the cancellation: those
  commands are no entries.

Completion ids are chosen so that no table is needed: the index of the entry, and one of the marks below.
Source: shared/spec/service-protocol.md, section 8; shared/spec/lifecycle.md, 5.6.
"""

import enum
from typing import Final

from perdure.base.errors import RemoteProtocolError
from perdure.base.ids import AWAKEABLE_OFFSET
from perdure.model.journal import AttachInvocation, Call, Command, GetInvocationOutput, GetPromise, Run, Sleep

ENTRIES_MAX: Final = 1 << 28
"""Of one journal: the bits of an id above are for marks."""


class Mark(enum.IntEnum):
    """What an id of the journal stands for, besides the index of an entry."""

    ENTRY = 0
    AWAKEABLE = 0x1000_0000
    EMPTY_RUN = 0x2000_0000
    """A run without a result, which is not the same as an empty one."""
    KEPT = 0x3000_0000
    """An entry that the proposal holds as it came."""
    CALLEE_ID = 0x8000_0000


CASCADE_NAME: Final = "cancellation passed on"
"""The name of commands that pass a cancellation to callees."""


def mark_of(completion_id: int) -> int:
    """Return the mark of an id."""
    return completion_id & ~(ENTRIES_MAX - 1)


def index_of(completion_id: int) -> int:
    """Return the entry index of an id."""
    return completion_id & (ENTRIES_MAX - 1)


def signal_of(index: int) -> int:
    """Return the signal that completes the awakeable at an entry index."""
    return index + AWAKEABLE_OFFSET


def completion_id_of(command: Command) -> int | None:
    """Return the id of a command that waits for something outside of its own step, and so can be cancelled."""
    if isinstance(command, Sleep | Call | GetPromise | AttachInvocation | GetInvocationOutput):
        return command.completion_id
    if isinstance(command, Run) and mark_of(command.completion_id) == Mark.AWAKEABLE:
        return command.completion_id
    return None


class Ledger:
    """The state of one attempt; the decoder adds what comes, the encoder what is durable."""

    def __init__(self) -> None:
        self.entry_count = 0
        """Replayed and received; the index of the next entry."""
        self.acks_wanted: set[int] = set()
        """Entries whose sender waits for an acknowledgement."""
        self.waiters: set[int] = set()
        """Entries received that can be cancelled."""
        self.awakeables: set[int] = set()
        self.answered_by: dict[int, int] = {}
        """Index of an entry received -> the completion id that answers it, where that is not its index."""
        self.callees: dict[int, str] = {}
        """Index of a call -> id of the invocation, as soon as the call is durable."""
        self.is_cancelled = False
        self.cancelled: set[int] = set()
        """Entries that a cancellation completed."""
        self.to_cancel: list[str] = []
        """Callees that a cancellation is still to be passed to."""
        self._skipped: list[int] = []

    def add(self) -> int:
        """Count one entry; return its index."""
        index = self.entry_count
        if index >= ENTRIES_MAX:
            raise RemoteProtocolError(f"journal of more than {ENTRIES_MAX} entries")
        self.entry_count = index + 1
        return index

    def skip(self) -> None:
        """Count one command that is no entry."""
        self._skipped.append(self.entry_count + len(self._skipped))

    def entry_of(self, command_index: int) -> int:
        """Return the index of the entry that a command is."""
        return command_index - sum(skipped < command_index for skipped in self._skipped)

    def command_of(self, entry_index: int) -> int:
        """Return the index of the command that an entry is."""
        command_index = entry_index
        for skipped in self._skipped:
            if skipped > command_index:
                break
            command_index += 1
        return command_index

    def callee_of(self, index: int) -> str:
        """Return the id of the invocation that a call started.

        Raises:
            RemoteProtocolError: There is no such call, or it is not durable yet: the next attempt knows it.
        """
        callee = self.callees.get(index)
        if callee is None:
            raise RemoteProtocolError(f"the call at entry {index} is not known yet")
        return callee
