"""`python -m benchmarks.introspection`: SQL over a large store, and what it costs the calls that run meanwhile.

The store is filled through the model's records before the server starts, so that it takes a minute and not an hour.
"""

import argparse
import asyncio
import hashlib
import statistics
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
import psycopg

from benchmarks.load import apply_load
from benchmarks.scenarios import SCENARIOS
from benchmarks.usage import MB
from perdure.base.ids import InvocationId, format_invocation_id, invocation_id, partition_of
from perdure.base.limits import PARTITIONS_DEFAULT
from perdure.model.invocation import InvocationRecord, Pin, Status
from perdure.model.journal import Completion, CompletionType, Entry, Input, Output, Run, StoredEntry
from perdure.model.result import Success
from perdure.model.target import HandlerType, Target
from perdure.store.chunks import set_chunked
from perdure.store.format import prepare
from perdure.store.interface import Store, Transaction
from perdure.store.keyspace import Keyspace
from perdure.store.opening import open_store
from tests.e2e.endpoint import NODE_ROOM, Endpoint
from tests.e2e.processes import family
from tests.e2e.suite import Suite

RUNS: Final = 4
ENTRIES: Final = 2 + 2 * RUNS
"""Of each journal."""
TURNS: Final = 5
"""Measurements with scans, each between two without."""
BATCH: Final = 500
"""Invocations that are written in one transaction."""
KEYSPACE: Final = Keyspace()
GREET: Final = SCENARIOS[1]
OVERVIEW: Final = "SELECT target_service_name, status, count(*), min(created_at) FROM sys_invocation GROUP BY 1, 2 ORDER BY 1, 2"
FULL_SCAN: Final = "SELECT entry_type, count(*), max(appended_at) FROM sys_journal GROUP BY entry_type ORDER BY entry_type"


def an_id(number: int) -> InvocationId:
    """Return the id of the invocation with a number: spread over all partitions."""
    drawn = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=24).digest()
    return invocation_id(int.from_bytes(drawn[:8], "big"), drawn[8:])


def a_record(number: int, now_ms: int) -> InvocationRecord:
    """Return an invocation: nine of ten have ended, the others wait for an operator, so that none runs."""
    target = Target(f"Service{number % 20}", "handle", None, HandlerType.PLAIN)
    record = InvocationRecord(
        target, Status.PAUSED, now_ms - number, now_ms, pin=Pin("dp_10000000000000000000001", 6), running_at_ms=now_ms
    )
    record.journal_length, record.command_count = ENTRIES, 2 + RUNS
    if number % 10:
        record.status, record.result, record.completed_at_ms = Status.COMPLETED, Success(b'"done"'), now_ms
        record.completion_retention_ms = record.journal_retention_ms = 86_400_000
    return record


def entries() -> list[Entry]:
    """Return a journal of some steps."""
    steps: list[Entry] = []
    for number in range(1, RUNS + 1):
        steps += [Run(number, f"step-{number}"), Completion(CompletionType.RUN, number, Success(b'{"n": 1}'))]
    return [Input(b'"Ada Lovelace"'), *steps, Output(Success(b'"done"'))]


async def fill(store: Store, invocations: int) -> None:
    """Write invocations with their journals."""
    await prepare(store, KEYSPACE, PARTITIONS_DEFAULT)
    now_ms = int(time.time() * 1_000)
    journal = [msgspec.msgpack.encode(StoredEntry(now_ms, entry)) for entry in entries()]
    assert len(journal) == ENTRIES
    for first in range(0, invocations, BATCH):
        numbers = range(first, min(first + BATCH, invocations))
        await store.transact(lambda tr, numbers=numbers: write(tr, numbers, journal, now_ms))


def write(tr: Transaction, numbers: range, journal: list[bytes], now_ms: int) -> None:
    """Write some invocations, each with the same journal."""
    for number in numbers:
        known, record = an_id(number), a_record(number, now_ms)
        keys = KEYSPACE.partition(partition_of(known, PARTITIONS_DEFAULT))
        place = keys.invocation(known) if record.status is Status.COMPLETED else keys.unfinished(known)
        set_chunked(tr, place, msgspec.msgpack.encode(record), is_new=True)
        for index, value in enumerate(journal):
            set_chunked(tr, keys.entry(known, index), value, is_new=True)


class Memory:
    """Watches the largest resident size of the sql process and of the workers that it starts."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak_bytes = 0
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            for member in family(self._pid):
                try:
                    status = Path(f"/proc/{member.pid}/status").read_text()
                except OSError:
                    continue
                size = int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1_024
                self.peak_bytes = max(self.peak_bytes, size)

    def end(self) -> None:
        """Watch no more."""
        self._stop.set()
        self._thread.join()


def timed(connection: "psycopg.Connection[tuple[object, ...]]", sql: str) -> tuple[float, list[tuple[object, ...]]]:
    """Return seconds and rows of a statement."""
    started = time.perf_counter()
    rows = connection.execute(sql.encode()).fetchall()
    return time.perf_counter() - started, rows


def point_queries(connection: "psycopg.Connection[tuple[object, ...]]", invocations: int, count: int = 100) -> list[float]:
    """Return the seconds of queries that each ask for one invocation."""
    taken: list[float] = []
    for number in range(count):
        known = format_invocation_id(an_id(number * 997 % invocations))
        seconds, rows = timed(connection, f"SELECT * FROM sys_invocation WHERE id = '{known}'")
        assert len(rows) == 1
        taken.append(seconds)
    return taken


def throughput(suite: Suite, seconds: int, run: str) -> float:
    """Return calls per second of the simplest service."""
    sample = apply_load(suite.ingress_url, GREET, seconds=seconds, run=run)
    assert not sample.errors
    return sample.calls / sample.wall_s


def throughput_while_scanning(suite: Suite, url: str, seconds: int, run: str) -> tuple[float, int]:
    """Return calls per second while one client after the other scans all journals, and the number of scans."""
    stop = threading.Event()
    scans: list[float] = []

    def scan() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                scans.append(timed(connection, FULL_SCAN)[0])

    scanner = threading.Thread(target=scan)
    scanner.start()
    try:
        return throughput(suite, seconds, run), len(scans)
    finally:
        stop.set()
        scanner.join()


def compare_throughput(suite: Suite, url: str, seconds: int) -> None:
    """Print calls per second without and with scans, taken in turns: machines have faster and slower minutes."""
    alone = [throughput(suite, seconds, "alone-0")]
    busy: list[float] = []
    scans = 0
    for turn in range(1, TURNS + 1):
        rate, ended = throughput_while_scanning(suite, url, seconds, f"busy-{turn}")
        busy.append(rate)
        scans += ended
        alone.append(throughput(suite, seconds, f"alone-{turn}"))
    ratios = [rate / statistics.mean(beside) for rate, beside in zip(busy, pairwise(alone), strict=True)]
    print(
        f"calls per second       {statistics.median(alone):.0f} alone, {statistics.median(busy):.0f} while scanning ({scans} scans ended)"
    )
    print(f"ratio                  median {statistics.median(ratios):.2f} of {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


def measure(suite: Suite, invocations: int, seconds: int) -> None:
    """Print the figures."""
    [sql] = suite.processes("sql")
    url = f"postgresql://bench@127.0.0.1:{suite.sql_port}/restate"
    memory = Memory(sql.pid)
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT 1")
            points = point_queries(connection, invocations)
            print(f"point query by id      median {statistics.median(points) * 1e3:.1f} ms, worst {max(points) * 1e3:.1f} ms")
            overview, rows = min((timed(connection, OVERVIEW) for _ in range(3)), key=lambda each: each[0])
            print(f"status overview        {overview:.2f} s, {sum(int(str(row[2])) for row in rows)} invocations")
            full, rows = timed(connection, FULL_SCAN)
            print(f"full scan of journals  {full:.2f} s, {sum(int(str(row[1])) for row in rows)} entries")
        compare_throughput(suite, url, seconds)
    finally:
        memory.end()
    print(f"peak memory            {memory.peak_bytes / MB:.0f} MB in the largest process of sql")


def main() -> None:
    """Fill a store, start a server over it, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invocations", type=int, default=100_000, help=f"each with {ENTRIES} journal entries (default 100000)")
    parser.add_argument("--seconds", type=int, default=8, help="of load per measurement (default 8)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perdure-bench-") as directory:
        data = Path(directory) / "data"
        data.mkdir()

        async def prepare_store() -> None:
            store = open_store(path=str(data / "perdure.db"), fdb_cluster_file=None, root="perdure")
            await fill(store, options.invocations)
            await store.close()

        started = time.perf_counter()
        asyncio.run(prepare_store())
        print(
            f"filled in {time.perf_counter() - started:.0f} s: {options.invocations} invocations, {options.invocations * ENTRIES} entries"
        )
        suite, endpoint = Suite(data, peer=""), Endpoint(str(NODE_ROOM / "app.mjs"), Path(directory))
        try:
            suite.start()
            endpoint.start()
            suite.register(endpoint.url)
            suite.result("/Greeter/greet", "Ada")
            measure(suite, options.invocations, options.seconds)
        finally:
            endpoint.stop()
            suite.close()


if __name__ == "__main__":
    main()
