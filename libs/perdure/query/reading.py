"""Reads what a statement wants of all its tables: in one snapshot, or, where snapshots do not live long, in one after the other.

Where a later snapshot takes over, a scan goes on behind the last row that it has read: each row is as it was at one moment, no row comes
twice, and rows far apart may be of different moments.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from perdure.query.batches import empty_of, pages_of
from perdure.query.catalogue import SCHEMAS
from perdure.query.plans import Place
from perdure.query.table import LiveById, Snapshot
from perdure.query.wanted import Wanted
from perdure.store.interface import ReadTransaction, Store
from perdure.store.keyspace import Keyspace


class Reading:
    """One statement's rows.

    Args:
        bytes_max: What may be read of one table.
        snapshot_s_max: How long one snapshot is read; None: to the end.
    """

    def __init__(
        self, keyspace: Keyspace, live: LiveById, wanted: Mapping[Place, Wanted], *, bytes_max: int, snapshot_s_max: float | None
    ) -> None:
        self._keyspace = keyspace
        self._live = live
        self._wanted = wanted
        self._bytes_max = bytes_max
        self._snapshot_s_max = snapshot_s_max
        self._is_amid = False
        self._snapshot: Snapshot | None = None
        self._pages: Iterator[tuple[Place, Any]] = iter(())
        self._filled: dict[Place, list[Any]] = {}

    async def read(self, store: Store) -> dict[Place, list[Any]]:
        """Return table -> batches with its rows.

        Raises:
            QueryError: A table has more than may be read.
        """
        while not await store.read(self._go_on):
            pass
        return {place: batches or [empty_of(_table(place))] for place, batches in self._filled.items()}

    def _go_on(self, tr: ReadTransaction) -> bool:
        """Read until the end, or as long as a snapshot may be read; return whether there is no more."""
        if self._snapshot is None or self._is_amid:  # the first time, or the store repeats what has failed amid a page
            self._snapshot = Snapshot(tr, self._keyspace, self._live)
            self._filled = {place: [] for place in self._wanted}
            self._pages = self._all_pages(self._snapshot)
        self._snapshot.tr = tr
        self._is_amid = True
        started = time.monotonic()
        is_read = True
        for place, page in self._pages:
            self._filled[place].append(page)
            if self._snapshot_s_max is not None and time.monotonic() - started >= self._snapshot_s_max:
                is_read = False
                break
        self._is_amid = False
        return is_read

    def _all_pages(self, snapshot: Snapshot) -> Iterator[tuple[Place, Any]]:
        for place, wanted in self._wanted.items():
            table = _table(place)
            for page in pages_of(table, table.scan(snapshot, wanted), wanted, bytes_max=self._bytes_max):
                yield place, page


def _table(place: Place) -> Any:
    schema, name = place
    return SCHEMAS[schema][name]
