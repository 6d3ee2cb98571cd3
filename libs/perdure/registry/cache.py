"""The metadata as a process sees it: read once, refreshed when admin says so, and polled in case that message was lost.

Whoever says so with a reply subject hears when it has been read.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from perdure.base.errors import StoreError
from perdure.bus.interface import Bus, Subscription
from perdure.bus.messages import SchemaChanged, decoder_of
from perdure.bus.subjects import Subjects
from perdure.registry.schema import Schema, read_meta_version, read_schema
from perdure.store.interface import ReadTransaction, Store
from perdure.store.keyspace import Keyspace

POLL_INTERVAL_S: Final = 5.0

_log = structlog.get_logger()
_changes: Final = decoder_of(SchemaChanged)


class SchemaCache:
    """Holds the newest schema that this process has read; `current` is a plain attribute, so a look-up costs nothing."""

    def __init__(self) -> None:
        self.current = Schema()
        self._callbacks: list[Callable[[Schema], None]] = []
        self._store: Store | None = None
        self._keyspace = Keyspace()
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._rung = asyncio.Event()
        self._bus: Bus | None = None
        self._askers: list[str] = []
        """Reply subjects of those who want to know when we know."""

    async def start(self, store: Store, bus: Bus, subjects: Subjects, keyspace: Keyspace) -> None:
        """Read the schema and follow it until `stop`. Returns with `current` at what the store held."""
        assert self._task is None
        self._store, self._keyspace, self._bus = store, keyspace, bus
        self._subscription = await bus.subscribe(subjects.schema, self._on_message)
        await self.refresh()
        self._task = asyncio.get_running_loop().create_task(self._follow(), name="schema-cache")

    def on_change(self, callback: Callable[[Schema], None]) -> None:
        """Call back with each newer schema, after `current` has become it."""
        self._callbacks.append(callback)

    async def refresh(self) -> Schema:
        """Read what is newer in the store, if anything is, and return what is now current.

        Raises:
            StoreError: The store could not be read; `current` stays.
        """
        assert self._store is not None
        known = self.current.meta_version
        newer = await self._store.read(lambda tr: self._newer(tr, known))
        if newer is not None and newer.meta_version > self.current.meta_version:
            self.current = newer
            for callback in self._callbacks:
                callback(newer)
        return self.current

    async def stop(self) -> None:
        """Follow no more."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()
            self._subscription = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def _newer(self, tr: ReadTransaction, known: int) -> Schema | None:
        return read_schema(tr, self._keyspace) if read_meta_version(tr, self._keyspace) > known else None

    def _on_message(self, payload: bytes, reply: str) -> None:
        try:
            is_newer = _changes.decode(payload).meta_version > self.current.meta_version
        except msgspec.MsgspecError:
            is_newer = True  # whatever it says, the store knows better
        if is_newer:
            if reply:
                self._askers.append(reply)
            self._rung.set()
        elif reply:
            self._answer([reply])

    def _answer(self, askers: list[str]) -> None:
        assert self._bus is not None
        for reply in askers:
            self._bus.publish(reply, b"")

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(POLL_INTERVAL_S):
                    await self._rung.wait()
            except TimeoutError:
                pass
            self._rung.clear()
            askers, self._askers = self._askers, []
            try:
                await self.refresh()
            except StoreError as error:
                _log.warning("schema_refresh_failed", reason=error.message)
            else:
                self._answer(askers)
