"""`python -m benchmarks.rolling_restart`: what 32 callers notice while every process of a set is replaced, one after another.

Two of each process, behind a balancer that knows nothing of HTTP; each is replaced by a new one and stopped in order, as a rolling update
does. The callers have one connection each, try nothing twice and check every answer. Half greet, half add to a counter of their own.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from tests.e2e.endpoint import Endpoint
from tests.e2e.fleet import Fleet, running
from tests.e2e.steady_load import Answer, SteadyLoad

ROLES: Final = ("ingress", "invoker", "admin", "sql", "nodectl")
RATIO_MAX: Final = 2.0


class Period(msgspec.Struct):
    """Calls that ended in a period."""

    seconds: float
    calls: int
    p50_ms: float
    p99_ms: float
    longest_ms: float


class Result(msgspec.Struct):
    """What was measured; `while_replacing` and `ratio` (of its median to the one before) are those of all roles together."""

    failed: int
    before: Period
    while_replacing: Period
    after: Period
    ratio: float
    by_role: dict[str, Period]


def main() -> int:
    """Measure and print; 0 where no call failed and the median at most doubled."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rolling_restart", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of load before and after (default 8)")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds from one process to the next (default 2)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perdure-bench-") as directory, ExitStack() as stack:
        endpoint = Endpoint("tests.e2e.services:app", Path(directory))
        stack.callback(endpoint.stop)
        endpoint.start()
        fleets = running(Path(directory) / "fleet", nodectl=2, admin=1, sql=2, invoker=2, ingress=2)
        stack.callback(fleets.close)
        fleet = next(fleets)
        fleet.register(endpoint.url)
        result = measure(fleet, seconds=options.seconds, pause_s=options.pause)
    for name in Result.__struct_fields__:
        print(f"{name:16}", msgspec.json.encode(getattr(result, name)).decode())
    return 0 if result.failed == 0 and result.ratio <= RATIO_MAX else 1


def measure(fleet: Fleet, *, seconds: float, pause_s: float) -> Result:
    """Replace every process under load."""
    with SteadyLoad(fleet, "rolling") as load:
        time.sleep(seconds / 2)  # the first calls pay for what is loaded late
        before = observed(load, seconds)
        by_role: dict[str, tuple[float, list[Answer]]] = {}
        for role in ROLES:
            began_s, first = time.monotonic(), len(load.answers)
            for member in list(fleet.members[role]):
                fleet.replace(member)
                time.sleep(pause_s)
            by_role[role] = time.monotonic() - began_s, load.answers[first:]
        after = observed(load, seconds)
    for failure in load.failures[:10]:
        print(failure, file=sys.stderr)
    whole = period(sum(each for each, _ in by_role.values()), [answer for _, answers in by_role.values() for answer in answers])
    return Result(
        failed=len(load.failures),
        before=before,
        while_replacing=whole,
        after=after,
        ratio=round(whole.p50_ms / before.p50_ms, 2),
        by_role={role: period(*each) for role, each in by_role.items()},
    )


def observed(load: SteadyLoad, seconds: float) -> Period:
    """Let the load go on and return what it did meanwhile."""
    first = len(load.answers)
    time.sleep(seconds)
    return period(seconds, load.answers[first:])


def period(seconds: float, answers: Sequence[Answer]) -> Period:
    """Sum up calls."""
    took_ms = sorted(answer.took_s * 1_000 for answer in answers)
    return Period(
        seconds=round(seconds, 1),
        calls=len(took_ms),
        p50_ms=round(statistics.median(took_ms), 1),
        p99_ms=round(took_ms[int(len(took_ms) * 0.99)], 1),
        longest_ms=round(took_ms[-1], 1),
    )


if __name__ == "__main__":
    sys.exit(main())
