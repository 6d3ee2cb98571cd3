"""Reads the mailboxes of owned partitions when a doorbell rings, and now and then without one."""

import asyncio

from perdure.base.limits import SCAN_ROWS_MAX
from perdure.store.interface import ReadTransaction
from services.invoker.machine.events import MailReceived
from services.invoker.mail_rows import mail_range, read_mail
from services.invoker.owner import OwnedPartition, Owner

Rows = list[MailReceived]


class Mailboxes:
    """Feeds messages in the order of their commits; a row is removed by the step that applies it."""

    def __init__(self, owner: Owner, *, poll_s: float) -> None:
        self._owner = owner
        self._poll_s = poll_s
        self._rung: set[int] = set()
        self._bell = asyncio.Event()

    def ring(self, partitions: set[int]) -> None:
        """Say that there may be mail for these partitions; those of others are none of our business."""
        ours = partitions & self._owner.partitions.keys()
        if ours:
            self._rung |= ours
            self._bell.set()

    async def run(self) -> None:
        """Read whatever rang, and everything once per poll interval, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._bell.wait()
            except TimeoutError:
                self._rung |= self._owner.partitions.keys()
            self._bell.clear()
            rung, self._rung = self._rung, set()
            await self._read(sorted(rung))

    async def _read(self, partitions: list[int]) -> None:
        wanted = [(number, self._owner.partitions[number]) for number in partitions if number in self._owner.partitions]
        if not wanted:
            return
        adoptions = self._owner.adoptions
        pages = await self._owner.store.read(lambda tr: _pages(tr, wanted))
        for (number, owned), rows in zip(wanted, pages, strict=True):
            if self._owner.partitions.get(number) is owned:
                self._feed(number, owned, rows, is_recent=adoptions == self._owner.adoptions)

    def _feed(self, number: int, owned: OwnedPartition, rows: Rows, *, is_recent: bool) -> None:
        for received in rows:
            if not self._owner.feed(number, received):
                return
            owned.mail_after = received.mail_key
        if len(rows) == SCAN_ROWS_MAX:
            self.ring({number})
        elif is_recent and not owned.own_mail:
            owned.is_drained = True


def _pages(tr: ReadTransaction, wanted: list[tuple[int, OwnedPartition]]) -> list[Rows]:
    return [_page(tr, owned) for _, owned in wanted]


def _page(tr: ReadTransaction, owned: OwnedPartition) -> Rows:
    rows = tr.get_range(*mail_range(owned.view.keys, owned.mail_after), limit=SCAN_ROWS_MAX)
    return [MailReceived(mail, key, body_key) for key, (mail, body_key) in ((key, read_mail(tr, value)) for key, value in rows)]
