"""Says why the tests that need a FoundationDB cluster cannot run; nothing where they can."""

import asyncio
import os
import sys

from perdure.base.errors import StoreError
from perdure.store.fdb.options import FdbOptions
from perdure.store.opening import open_store

VARIABLE = "PERDURE_FDB_CLUSTER_FILE"
ANSWER_MS_MAX = 10_000


async def missing() -> str:
    """Return what is missing, or an empty text."""
    cluster_file = os.environ.get(VARIABLE, "")
    if not cluster_file:
        return f"{VARIABLE} names no cluster file"
    try:
        store = open_store(path=None, fdb_cluster_file=cluster_file, root="test", fdb=FdbOptions(timeout_ms=ANSWER_MS_MAX))
        await store.read(lambda tr: tr.get(b"test"))
        await store.close()
    except StoreError as error:
        return error.message
    return ""


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(missing()))
