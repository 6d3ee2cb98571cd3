"""Several threads and processes on one store, and `kill -9` of those that write."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO

import perdure
from perdure.store.interface import Store
from tests.contract.store.conftest import CLUSTER_FILE
from tests.contract.store.places import Place

ROWS = 20


@contextmanager
def a_writing_process(place: Place, name: str) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    arguments = [place.path, "" if place.path else CLUSTER_FILE, place.root.hex(), name, str(ROWS)]
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("writing_process.py")), *arguments],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(Path(perdure.__path__[0]).parent)])},
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def kill_while_it_writes(place: Place, name: str, after: int) -> int:
    """Kill the writer once it has acknowledged `after` batches; return the last that it acknowledged."""
    with a_writing_process(place, name) as (process, output):
        for _ in range(after):
            assert output.readline()
        process.kill()
        rest = output.read().split()
        return int(rest[-1]) if rest else 0


async def assert_whole(store: Store, place: Place, name: bytes, acknowledged: int) -> int:
    """Assert that batches 1..last are there with all their rows, that no other is, and that last >= acknowledged; return last."""
    last = int(await store.read(lambda tr: tr.get(place.root + b"last" + name)) or b"0")
    assert last >= acknowledged, f"batch {acknowledged} was acknowledged, the last one in the store is {last}"
    rows = await store.read(lambda tr: tr.get_range(place.root + b"row" + name, place.root + b"row" + name + b"\xff"))
    expected = [(b"%08d/%04d" % (number, row), b"%d" % number * 50) for number in range(1, last + 1) for row in range(ROWS)]
    assert [(key[len(place.root) + 3 + len(name) :], value) for key, value in rows] == expected
    mail = await store.read(lambda tr: tr.get_range(place.root + b"mail", place.root + b"mail\xff\xff"))
    assert [int(value) for key, value in mail if key.endswith(name)] == list(range(1, last + 1))
    return last


def test_nothing_acknowledged_is_lost_when_a_writer_is_killed(shared_place: Place) -> None:
    place = shared_place
    dice = random.Random(3)
    total = 0
    for _ in range(5):
        acknowledged = kill_while_it_writes(place, "a", after=dice.randint(1, 40))
        total = place.run(lambda store, acknowledged=acknowledged: assert_whole(store, place, b"a", acknowledged))
    count = place.run(lambda store: store.read(lambda tr: tr.get(place.root + b"count")))
    assert count == total.to_bytes(8, "little")


def test_a_killed_writer_does_not_disturb_another(shared_place: Place) -> None:
    place = shared_place
    with a_writing_process(place, "b") as (survivor, output):
        for after in (2, 7, 11):
            acknowledged = kill_while_it_writes(place, "a", after)
            place.run(lambda store, acknowledged=acknowledged: assert_whole(store, place, b"a", acknowledged))
            seen = int(output.readline())
            for _ in range(5):
                assert int(output.readline()) > seen
        survivor.kill()
        rest = output.read().split()
    place.run(lambda store: assert_whole(store, place, b"b", int(rest[-1]) if rest else seen))


def test_threads_and_processes_share_one_store(shared_place: Place) -> None:
    place = shared_place

    def increment_in_a_thread() -> None:
        async def scenario(store: Store) -> None:
            for _ in range(50):
                await store.transact(lambda tr: tr.set(place.root + b"sum", b"%d" % (int(tr.get(place.root + b"sum") or b"0") + 1)))

        place.run(scenario)

    with a_writing_process(place, "a") as (process, output):
        assert output.readline()
        threads = [Thread(target=increment_in_a_thread) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert place.run(lambda store: store.read(lambda tr: tr.get(place.root + b"sum"))) == b"100"
        assert process.poll() is None


def test_one_process_sees_what_another_has_committed(shared_place: Place) -> None:
    place = shared_place

    async def scenario(store: Store) -> None:
        with a_writing_process(place, "a") as (_, output):
            for _ in range(30):
                number = int(await asyncio.to_thread(output.readline))
                assert int(await store.read(lambda tr: tr.get(place.root + b"lasta")) or b"0") >= number

    place.run(scenario)
