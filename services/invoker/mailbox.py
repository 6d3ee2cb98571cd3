"""Reads the mailboxes of owned partitions when a doorbell rings, and now and then without one."""

import asyncio
from typing import Final, NamedTuple

from perdure.base.clock import until_beat_s
from perdure.base.limits import MIB, SCAN_ROWS_MAX
from perdure.store.interface import ReadTransaction
from services.invoker.machine.events import MailReceived
from services.invoker.mail_rows import mail_range, read_mail
from services.invoker.owner import OwnedPartition, Owner

PAGE_BYTES_MAX: Final = 16 * MIB
"""Messages that one snapshot reads, and one more; FoundationDB keeps a snapshot for five seconds."""


class Page(NamedTuple):
    """What was read of a mailbox, and whether more may be there."""

    received: list[MailReceived]
    has_more: bool


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
                async with asyncio.timeout(until_beat_s(asyncio.get_running_loop().time(), self._poll_s)):
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
        for (number, owned), page in zip(wanted, pages, strict=True):
            if self._owner.partitions.get(number) is owned:
                self._feed(number, owned, page, is_recent=adoptions == self._owner.adoptions)

    def _feed(self, number: int, owned: OwnedPartition, page: Page, *, is_recent: bool) -> None:
        for received in page.received:
            if not self._owner.feed(number, received):
                return
            owned.mail_after = received.mail_key
        if page.has_more:
            self.ring({number})
        elif is_recent and not owned.own_mail:
            owned.is_drained = True


def _pages(tr: ReadTransaction, wanted: list[tuple[int, OwnedPartition]]) -> list[Page]:
    pages: list[Page] = []
    bytes_left = PAGE_BYTES_MAX
    for _, owned in wanted:
        page, size_bytes = _page(tr, owned, bytes_left)
        bytes_left -= size_bytes
        pages.append(page)
    return pages


def _page(tr: ReadTransaction, owned: OwnedPartition, bytes_max: int) -> tuple[Page, int]:
    if bytes_max <= 0:
        return Page([], has_more=True), 0
    received: list[MailReceived] = []
    size_bytes = 0
    rows = tr.get_range(*mail_range(owned.view.keys, owned.mail_after), limit=SCAN_ROWS_MAX)
    for key, value in rows:
        mail, body_key, length = read_mail(tr, value)
        received.append(MailReceived(mail, key, body_key))
        size_bytes += length
        if size_bytes >= bytes_max:
            break
    return Page(received, has_more=len(received) < len(rows) or len(rows) == SCAN_ROWS_MAX), size_bytes
