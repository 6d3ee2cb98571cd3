"""A process that writes until it is killed: commits batches n = 1, 2, .. of several rows each, and prints n once it is acknowledged.

python writing_process.py PATH CLUSTER_FILE ROOT_HEX NAME ROWS
"""

import asyncio
import sys
from collections.abc import Callable

from perdure.store.embedded import checkpoints
from perdure.store.interface import Transaction
from perdure.store.opening import open_store

# So that it is also killed in checkpoints, and while the log begins anew.
checkpoints._LOG_PAGES = 60


def batch(root: bytes, name: bytes, number: int, rows: int) -> Callable[[Transaction], None]:
    def fn(tr: Transaction) -> None:
        if int(tr.get(root + b"last" + name) or b"0") >= number:
            return  # An unknown commit that happened after all.
        for row in range(rows):
            tr.set(root + b"row" + name + b"%08d/%04d" % (number, row), b"%d" % number * 50)
        tr.set(root + b"last" + name, b"%d" % number)
        tr.set_versionstamped_key(root + b"mail", name, b"%d" % number)
        tr.add(root + b"count", 1)

    return fn


async def main(path: str, cluster_file: str, root_hex: str, name: str, rows: str) -> None:
    root = bytes.fromhex(root_hex)
    store = open_store(path=path or None, fdb_cluster_file=cluster_file or None, root="test")
    number = int(await store.read(lambda tr: tr.get(root + b"last" + name.encode())) or b"0")
    while True:
        number += 1
        await store.transact(batch(root, name.encode(), number, int(rows)))
        print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
