"""`python -m benchmarks.suspended`: what invocations that wait for an awakeable cost those that do not.

Two servers run in one sitting: one where many invocations are suspended, and one where none is. They are called in turn, so that the
ratio of their costs per call holds on a busy machine. Then the first one is started again.
"""

import argparse
import contextlib
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.contestants import NAMES, Contestant, Measurement
from benchmarks.load import apply_load
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.usage import MB
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite

PARK: Final = Scenario("park C=64", "/Parked/wait/send", None, 64, is_one_way=True)
GREET: Final = SCENARIOS[1]
PARK_S: Final = 5
"""Seconds of load after which is looked how many there are."""


class Cost(msgspec.Struct):
    """What was measured: CPU per call in ms, median latency, memory of the invoker in MB, seconds from a restart to its first call."""

    suspended: int
    cpu_ratio: float
    p50_ratio: float
    invoker_mb: float
    invoker_idle_mb: float
    restarted_after_s: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suspended", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="suspended invocations (default 100000)")
    parser.add_argument("--seconds", type=int, default=4, help="of load per measurement (default 4)")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement; the median counts (default 5)")
    parser.add_argument("--server", choices=list(NAMES), default="perdure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perdure-bench-") as directory, contextlib.ExitStack() as stack:
        empty, full = (Contestant(options.server, Path(directory) / name) for name in ("empty", "full"))
        for contestant in (empty, full):
            stack.callback(contestant.close)
            contestant.start()
            contestant.measure(GREET, 2)  # The first calls pay for what is loaded late.
        suspended = park(full.suite, options.count)
        pairs = [(empty.measure(GREET, options.seconds), full.measure(GREET, options.seconds)) for _ in range(options.repeats)]
        invoker_mb, idle_mb = resident_mb(full.suite), resident_mb(empty.suite)
        print(msgspec.json.encode(cost(suspended, pairs, invoker_mb, idle_mb, restart(full.suite))).decode())


def park(suite: Suite, count: int) -> int:
    """Send until `count` invocations are suspended; return how many are."""
    parked = 0
    while parked < count:
        parked += apply_load(suite.ingress_url, PARK, seconds=PARK_S, run=uuid.uuid4().hex[:8]).calls
        print(f"{parked} sent, {_suspended(suite)} suspended", flush=True)
    return eventually(lambda: _suspended(suite) >= parked and parked, "all are suspended", limit_s=900, pause_s=2)


def _suspended(suite: Suite) -> int:
    query = "select count(*) as n from sys_invocation_status where status = 'suspended'"
    answer = suite.http.post(f"{suite.admin_url}/query", json={"query": query}, headers={"accept": "application/json"})
    return answer.json()["rows"][0]["n"]


def resident_mb(suite: Suite) -> float:
    """Return the memory of what holds the invocations."""
    role = "everything" if suite.peer else "invoker"
    return sum(process.memory_info().rss for process in suite.processes(role)) / MB


def restart(suite: Suite) -> float:
    """Kill everything, start it again, and return the seconds until a call was answered."""
    suite.kill_everything()
    started = time.monotonic()
    suite.start()
    suite.result("/Greeter/greet", "Ada")
    return time.monotonic() - started


def cost(suspended: int, pairs: list[tuple[Measurement, Measurement]], invoker_mb: float, idle_mb: float, restarted_after_s: float) -> Cost:
    """Compare the medians."""
    return Cost(
        suspended=suspended,
        cpu_ratio=statistics.median(full.server_cpu_ms / empty.server_cpu_ms for empty, full in pairs),
        p50_ratio=statistics.median(full.sample.p50_ms / empty.sample.p50_ms for empty, full in pairs),
        invoker_mb=invoker_mb,
        invoker_idle_mb=idle_mb,
        restarted_after_s=restarted_after_s,
    )


if __name__ == "__main__":
    main()
