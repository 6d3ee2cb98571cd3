"""Bodies in the store that nobody fetches."""

import asyncio
import random

from perdure.base.ids import ulid
from perdure.sim.loop import SimClock, VirtualLoop
from perdure.sim.store import SimStore, StoreFaults
from perdure.store.blobs import get_blob, put_blob
from perdure.store.keyspace import Keyspace
from services.invoker.abandoned import delete_abandoned_blobs

KEYS = Keyspace("root")
HOUR_S = 3_600


def test_an_invoker_deletes_a_blob_that_is_older_than_a_day() -> None:
    loop = VirtualLoop(duration_max_s=48 * HOUR_S)

    async def scenario() -> None:
        clock = SimClock(loop)
        store = SimStore(random=random.Random(1), faults=StoreFaults()).client("invoker")
        blob_id = ulid(clock.now_ms(), bytes(10))
        await put_blob(store, KEYS, blob_id, b"a body")
        deleting = asyncio.ensure_future(delete_abandoned_blobs(store, KEYS, clock))
        await asyncio.sleep(23 * HOUR_S)
        assert await get_blob(store, KEYS, blob_id) == b"a body"
        await asyncio.sleep(3 * HOUR_S)
        assert await get_blob(store, KEYS, blob_id) is None
        deleting.cancel()
        await asyncio.wait([deleting])

    loop.run(scenario())
