"""Results as a table with ratios, and as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from benchmarks.contestants import Idle, Measurement, Recovery

RESULTS: Final = Path(__file__).parent / "results"


class Report(msgspec.Struct):
    """All of one sitting."""

    started_at: str
    idle: list[Idle]
    measurements: list[Measurement]
    recoveries: list[Recovery]

    @classmethod
    def empty(cls) -> "Report":
        """Return a report that begins now."""
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), [], [], [])

    def save(self) -> Path:
        """Write the report to a file of its own and return its path."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.started_at.replace(':', '').replace('+0000', '')}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2))
        return path

    def rows(self) -> list[list[str]]:
        """Return the table, header first: medians over repeats, and ours over the other where both were measured."""
        names = list(dict.fromkeys(each.server for each in self.measurements))
        head = ["scenario", *(f"{name} {what}" for what in ("calls/s", "p50 ms", "CPU ms") for name in names)]
        rows = [head + (["calls ratio", "p50 ratio", "CPU ratio"] if len(names) == 2 else []) + ["errors"]]
        for scenario in dict.fromkeys(each.scenario for each in self.measurements):
            here = [[each for each in self.measurements if (each.server, each.scenario) == (name, scenario)] for name in names]
            columns = [
                [median(each.calls_per_s for each in group) if group else None for group in here],
                [median(each.sample.p50_ms for each in group) if group else None for group in here],
                [median(each.server_cpu_ms for each in group) if group else None for group in here],
            ]
            formats = ("{:.0f}", "{:.2f}", "{:.3f}")
            cells = [form.format(value) if value else "-" for form, column in zip(formats, columns, strict=True) for value in column]
            ratios = [f"{ours / other:.2f}" if ours and other else "-" for ours, other in columns] if len(names) == 2 else []
            rows.append([scenario, *cells, *ratios, str(sum(each.sample.errors for group in here for each in group))])
        return rows

    def text(self) -> str:
        """Return everything for a terminal."""
        lines = [table(self.rows())] if self.measurements else []
        for idle in self.idle:
            facts = f"ready after {idle.ready_after_s:.2f} s, {idle.resident_mb:.0f} MB resident, {idle.cpu_percent:.1f} % of a core"
            lines.append(f"{idle.server} idle: {facts}")
        return "\n".join(lines + [self._recovery_of(name) for name in dict.fromkeys(each.server for each in self.recoveries)])

    def _recovery_of(self, name: str) -> str:
        recoveries = [each for each in self.recoveries if each.server == name]
        first_s, done_s = median(each.first_call_s for each in recoveries), median(each.all_done_s for each in recoveries)
        every = ", ".join(f"{each.all_done_s:.2f}" for each in recoveries)
        repeated = median(each.steps_repeated for each in recoveries)
        facts = f"first call {first_s:.2f} s after the restart, all done {done_s:.2f} s ({every})"
        return f"{name} recovery of 200: {facts}, {repeated:.0f} steps repeated"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows as a Markdown table with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|", *lines[1:]])
