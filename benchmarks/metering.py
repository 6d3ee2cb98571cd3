"""`python -m benchmarks.metering`: what metrics cost a call.

Times all that is counted on the way of one call, in all processes, in the code that counts it; a commit counts for one call, though
under load several share one. Then what a scrape costs: the text of a process that has `HANDLERS_MAX` handlers. Given the CPU per call of
`python -m benchmarks --only greet`, prints the share.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest

from perdure.process.meters import HANDLERS_MAX
from perdure.process.traffic import Traffic
from services.ingress.metrics import COMPLETED, Meters
from services.invoker.meters import AttemptMeters, CommitMeters
from services.invoker.plan import Outcome

ROUNDS: Final = 20_000
REPEATS: Final = 9
COMMITS: Final = 2
MESSAGES: Final = 4
"""Of NATS, that a lonely call causes: request and reply, each sent and received."""


class _Entry:
    service = "Greeter"
    handler = "greet"


class _Counts:
    sent = sent_bytes = received = received_bytes = 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metering", description=__doc__)
    parser.add_argument("--cpu-ms", type=float, default=0.21, help="CPU of all processes per call, in ms (default 0.21: `greet C=64`)")
    cpu_us = parser.parse_args().cpu_ms * 1_000
    loop = asyncio.new_event_loop()
    parts = {"ingress": of_ingress(loop), "invoker": of_invoker(loop), "NATS": of_bus()}
    costs = {name: cost_us(part) for name, part in parts.items()}
    for name, cost in costs.items():
        print(f"{name:10} {cost:6.2f} us per call")
    total = sum(costs.values())
    print(f"{'all':10} {total:6.2f} us per call: {100 * total / cpu_us:.2f} % of {cpu_us:.0f} us")
    print(f"{'compare':10} {cost_us(of_prometheus_client()):6.2f} us for one observation of prometheus-client's histogram with labels")
    print(f"{'scrape':10} {scrape_ms():6.1f} ms in an ingress with {HANDLERS_MAX} handlers")
    loop.close()


def of_ingress(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Return what the ingress counts of a call."""
    meters, traffic, now_s = Meters(waiting=int, parked=int), Traffic(), loop.time

    def once() -> None:
        traffic.received_bytes += 200
        meters.admitted += 1
        meter = meters.of(_Entry, False)  # type: ignore[arg-type]  # all that it looks at
        started_s = now_s()
        asked_s = now_s()
        meters.owners.observe(now_s() - asked_s)
        meter.record(COMPLETED, now_s() - started_s)
        meters.responses[200] += 1
        traffic.sent_bytes += 200

    return once


def of_invoker(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Return what the invoker counts of a call."""
    attempts, commits, now_s = AttemptMeters(), CommitMeters(), loop.time

    def once() -> None:
        for _ in range(COMMITS):
            started_s = now_s()
            commits.queued.observe(0.001)
            commits.record(rows=8, size_bytes=2_000, duration_s=now_s() - started_s)
        started_s = now_s()
        attempts.sent_bytes += 300
        attempts.received_bytes += 100
        attempts.received_bytes += 100
        attempts.record("Greeter", "greet", Outcome.ENDED, now_s() - started_s, (0.0, 0.001, 0.002, 0.001))

    return once


def of_bus() -> Callable[[], None]:
    """Return what the bus counts of a call, in both processes."""
    counts = _Counts()

    def once() -> None:
        for _ in range(MESSAGES // 2):
            counts.sent += 1
            counts.sent_bytes += 300
            counts.received += 1
            counts.received_bytes += 300

    return once


def of_prometheus_client() -> Callable[[], None]:
    """Return what one histogram of prometheus-client does."""
    histogram = Histogram("h", "H.", ["service", "handler"], registry=CollectorRegistry())
    return lambda: histogram.labels("Greeter", "greet").observe(0.001)


def cost_us(once: Callable[[], None]) -> float:
    """Return the median time of `once`."""
    return statistics.median(_time_us(once) for _ in range(REPEATS))


def scrape_ms() -> float:
    """Return how long the event loop of an ingress is busy with its metrics."""
    meters, registry = Meters(waiting=int, parked=int), CollectorRegistry()
    meters.register(registry)
    for number in range(HANDLERS_MAX):
        entry = _Entry()
        entry.handler = f"handler{number}"
        meters.of(entry, False).record(COMPLETED, 0.001)  # type: ignore[arg-type]
    return statistics.median(_time_us(lambda: generate_latest(registry), rounds=1) for _ in range(REPEATS)) / 1_000


def _time_us(once: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    started = time.process_time()
    for _ in range(rounds):
        once()
    return (time.process_time() - started) / rounds * 1e6


if __name__ == "__main__":
    main()
