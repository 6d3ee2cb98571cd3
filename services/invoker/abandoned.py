"""Deletes bodies that were left in the store for somebody who never came: their sender ended before it could say where they are."""

import asyncio
from typing import Final

import structlog

from perdure.base.clock import Clock
from perdure.base.errors import StoreError
from perdure.store.blobs import clear_abandoned
from perdure.store.interface import Store
from perdure.store.keyspace import Keyspace

EVERY_S: Final = 3_600.0

log = structlog.get_logger("perdure.invoker")


async def delete_abandoned_blobs(store: Store, keyspace: Keyspace, clock: Clock) -> None:
    """Look from time to time, until cancelled. Every invoker does: to delete twice is to delete once."""
    while True:
        try:
            await store.transact(lambda tr: clear_abandoned(tr, keyspace, clock.now_ms()))
        except StoreError as error:
            log.warning("blobs_not_deleted", reason=error.message)
        await asyncio.sleep(EVERY_S)
