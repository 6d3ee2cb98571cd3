"""Merge the metrics of several processes into one text that a Prometheus server accepts. Pure.

In the text format all samples of a family stand together, under one `# HELP` and one `# TYPE`. So the families of all processes are
gathered by name, and each sample gets the labels `role` and `process` of where it comes from.
"""

from collections.abc import Iterable

from perdure.bus.messages import MetricsSnapshot
from perdure.process.metrics import text_of


class _Family:
    def __init__(self) -> None:
        self.comments: list[str] = []
        self.samples: list[str] = []


def merge(snapshots: Iterable[MetricsSnapshot]) -> bytes:
    """Return one text; families in the order in which they first appear, processes in the order given."""
    families: dict[str, _Family] = {}
    for snapshot in snapshots:
        _add(families, snapshot)
    lines = [line for family in families.values() for line in (*family.comments, *family.samples)]
    return ("\n".join(lines) + "\n").encode() if lines else b""


def _add(families: dict[str, _Family], snapshot: MetricsSnapshot) -> None:
    labels = f'role="{_escape(snapshot.role)}",process="{_escape(snapshot.process_id)}"'
    name = ""
    is_known = False
    for line in text_of(snapshot).splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            kind_name = line.split(" ", 3)[2]
            if kind_name != name:
                name = kind_name
                is_known = name in families
            family = families.setdefault(name, _Family())
            if not is_known:
                family.comments.append(line)
        elif line and not line.startswith("#"):
            families.setdefault(name, _Family()).samples.append(_labelled(line, labels))


def _labelled(sample: str, labels: str) -> str:
    """Put labels before those that a sample has."""
    brace = sample.find("{")
    space = sample.find(" ")
    if brace < 0 or space < brace:
        return f"{sample[:space]}{{{labels}}}{sample[space:]}"
    separator = "" if sample[brace + 1] == "}" else ","
    return f"{sample[: brace + 1]}{labels}{separator}{sample[brace + 1 :]}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
