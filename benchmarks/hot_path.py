"""`python -m benchmarks.hot_path`: CPU of our own code per call, and how many Python functions it calls, in one process without sockets.

Ingress and invoker with all that is theirs (HTTP, machine, embedded store, HTTP/2 client) run on one event loop; in place of NATS, clients
and a deployment there are stand-ins that cost little. So the figure leaves out the kernel's part for sockets, and the NATS server. Rounds
are short, and the quickest counts, since neighbours make all others slower; compare it with that of another version by turns. The number
of functions varies by a hundredth at most, with the number of commits that the calls share.
"""

import argparse
import asyncio
import cProfile
import gc
import pstats
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import structlog

from benchmarks.stand_ins import Caller, GreeterLoop, OneProcess
from perdure.process.runtime import GC_THRESHOLDS

ROUNDS: Final = 40
CALLS_PER_ROUND: Final = 512


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hot_path", description=__doc__)
    parser.add_argument("--callers", type=int, default=64, help="callers that each wait for their answer (default 64)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of {CALLS_PER_ROUND} calls each (default {ROUNDS})")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="print the N functions that take most time, too")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(prefix="perdure-hot-") as directory, asyncio.Runner(loop_factory=GreeterLoop) as runner:
        runner.run(_measure(Path(directory), options.callers, options.rounds, options.functions))


async def _measure(directory: Path, callers: int, rounds: int, functions: int) -> None:
    process = OneProcess(directory)
    await process.start()
    clients = [process.connect() for _ in range(callers)]
    await _round(clients)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    costs_us = sorted([await _round(clients) for _ in range(rounds)])
    print(f"{costs_us[0]:.1f} us of CPU per call in the quickest of {rounds} rounds, {median(costs_us):.1f} in the median")
    print(f"{await _functions_called(clients):.1f} Python functions called per call")
    if functions:
        profile = cProfile.Profile()
        profile.enable()
        await _round(clients)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(functions)


async def _round(clients: Sequence[Caller]) -> float:
    """Return the CPU per call, in microseconds."""
    started_s = time.process_time()
    await asyncio.gather(*(client.call(CALLS_PER_ROUND // len(clients)) for client in clients))
    return (time.process_time() - started_s) / CALLS_PER_ROUND * 1e6


async def _functions_called(clients: Sequence[Caller]) -> float:
    called = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal called
        called += event == "call"

    sys.setprofile(count)
    try:
        await _round(clients)
    finally:
        sys.setprofile(None)
    return called / CALLS_PER_ROUND


if __name__ == "__main__":
    main()
