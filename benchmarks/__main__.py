"""`python -m benchmarks`: measure every server that is there, in turn, scenario by scenario."""

import argparse
import contextlib
import tempfile
from pathlib import Path

from benchmarks.contestants import NAMES, Contestant, available, measure_recovery
from benchmarks.report import Report
from benchmarks.scenarios import SCENARIOS


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="of load per measurement (default 4)")
    parser.add_argument("--repeats", type=int, default=3, help="of each measurement; the median is shown (default 3)")
    parser.add_argument("--only", default="", help="scenarios whose name contains this; 'recovery' for that alone")
    parser.add_argument("--servers", nargs="+", choices=list(NAMES), default=available(), help="default: all that are installed")
    parser.add_argument("--no-recovery", action="store_true", help="leave out the recovery of 200 in flight")
    return parser.parse_args()


def main() -> None:
    """Measure, print the table, and save the figures."""
    options = arguments()
    report = Report.empty()
    with tempfile.TemporaryDirectory(prefix="perdure-bench-") as directory, contextlib.ExitStack() as stack:
        contestants = [Contestant(name, Path(directory) / name) for name in options.servers]
        for contestant in contestants:
            stack.callback(contestant.close)
            report.idle.append(contestant.start())
            contestant.measure(SCENARIOS[1], seconds=2)  # The first calls pay for what is loaded late.
        turns = [contestants[:: -1 if repeat % 2 else 1] for repeat in range(options.repeats)]
        for scenario in (each for each in SCENARIOS if options.only in each.name):
            for turn in turns:
                for contestant in turn:
                    if scenario.is_grpc and contestant.name != "perdure":
                        continue
                    measured = contestant.measure(scenario, options.seconds)
                    report.measurements.append(measured)
                    print(
                        f"{measured.scenario:26} {measured.server:8} {measured.calls_per_s:7.0f}/s  p50 {measured.sample.p50_ms:7.2f} ms  "
                        f"CPU {measured.server_cpu_ms:.3f} ms/call  errors {measured.sample.errors}",
                        flush=True,
                    )
        if not options.no_recovery and options.only in ("", "recovery"):
            for turn in turns:
                report.recoveries += map(measure_recovery, turn)
    print("\n" + report.text())
    print(f"\n{report.save()}")


if __name__ == "__main__":
    main()
