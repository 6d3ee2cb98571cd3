"""Sub-commands that ask the node port of a running suite, and operate it through that."""

import http.client
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from perdure.model.suite_status import ClusterStatus, PartitionStatus

DONE, NOT_YET, FAILED = 0, 1, 2
"""Exit statuses."""

ANSWER_S_MAX: Final = 10.0
LOOK_S: Final = 0.2
"""How often it is looked whether something is done."""
QUIET_S: Final = 1.5
"""How long a process must have nothing under way: it tells once a second, and clients that have not left yet come between two calls."""

T = TypeVar("T")
TOKEN: Final = "PERDURE_AUTH_TOKEN"  # noqa: S105  # the name of a variable


class _NodeFailed(Exception):
    """The node port cannot be reached, or refuses."""


class _Named(msgspec.Struct):
    role: str
    process_id: str


class _LevelSet(msgspec.Struct):
    level: str
    processes: list[_Named]


def run_log_level(node_url: str, level: str, role: str) -> int:
    """Change the level of the processes of a role (all if it is empty), and print which they are; return the exit status."""
    return _reported(lambda: _set_log_level(_Node(node_url), level, role))


def run_status(node_url: str) -> int:
    """Print processes and partitions; return the exit status, `NOT_YET` where the suite does not do all its work."""
    return _reported(lambda: _print_status(_Node(node_url).status()))


def run_drain(node_url: str, process_id: str, within_s: float) -> int:
    """Drain a process, and wait until it has nothing under way; return the exit status, `NOT_YET` where that takes longer."""
    return _reported(lambda: _drain(_Node(node_url), process_id, within_s))


def run_move(node_url: str, partition: int, process_id: str, within_s: float) -> int:
    """Move a partition to an invoker, or with an empty id wherever the invokers put it; return the exit status as `run_drain` does."""
    return _reported(lambda: _move(_Node(node_url), partition, process_id, within_s))


def _reported(command: Callable[[], int]) -> int:
    try:
        return command()
    except _NodeFailed as error:
        print(f"perdure: {error}", file=sys.stderr)
        return FAILED


def _set_log_level(node: "_Node", level: str, role: str) -> int:
    told = node.ask("PUT", "/log-level", _LevelSet, level=level, role=role)
    for process in told.processes:
        print(f"{process.role}  {process.process_id}  {told.level}")
    return DONE


def _print_status(status: ClusterStatus) -> int:
    print(f"{status.cluster_name}: {status.status}")
    for reason in status.reasons:
        print(f"  {reason}")
    print()
    _print_table(
        ("ROLE", "PROCESS", "STATE", "VERSION", "AGE", "ADDRESS", "PARTITIONS", "OPEN"),
        (
            (each.role, each.process_id, each.state, each.version, each.age, each.address or "-", len(each.partitions), each.open)
            for each in status.processes
        ),
    )
    print()
    _print_table(("PARTITIONS", "OWNER", "EPOCH", "LAG", "MOVED TO"), _partition_rows(status.partitions))
    return NOT_YET if status.reasons else DONE


def _partition_rows(partitions: Sequence[PartitionStatus]) -> Iterable[Sequence[object]]:
    """Give a row for all partitions that are alike, with the lag of the one that is furthest behind."""
    alike: dict[tuple[str, int, str], list[PartitionStatus]] = {}
    for each in partitions:
        alike.setdefault((each.owner or "-", each.epoch, each.moved_to or "-"), []).append(each)
    for (owner, epoch, moved_to), members in alike.items():
        lags = [each.lag_ms for each in members]
        lag = "?" if None in lags else f"{max(lag for lag in lags if lag is not None)} ms"
        yield _ranges([each.partition for each in members]), owner, epoch, lag, moved_to


def _ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers as `0-3,7`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _print_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    lines = [titles, *(tuple(map(str, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _drain(node: "_Node", process_id: str, within_s: float) -> int:
    node.ask("PUT", "/drain", msgspec.Raw, process=process_id)

    def left() -> str:
        process = next((each for each in node.status().processes if each.process_id == process_id), None)
        if process is None or process.state == "drained":
            return ""
        return f"{process_id} still has {len(process.partitions)} partitions, and {process.open} calls, clients or attempts under way"

    return _wait(left, within_s, f"{process_id} has nothing under way: it may be stopped", steady_s=QUIET_S)


def _move(node: "_Node", partition: int, process_id: str, within_s: float) -> int:
    node.ask("PUT", "/move", msgspec.Raw, partition=str(partition), process=process_id)

    def left() -> str:
        owner = next((each.owner for each in node.status().partitions if each.partition == partition), "")
        return "" if process_id in ("", owner) else f"partition {partition} is still at {owner or 'nobody'}"

    return _wait(left, within_s, f"partition {partition} is at {process_id or 'whom the invokers choose'}")


def _wait(left: Callable[[], str], within_s: float, done: str, *, steady_s: float = 0.0) -> int:
    """Wait until nothing has been left to be done for `steady_s`, and say how it ended."""
    now_s = done_since_s = time.monotonic()
    deadline_s = now_s + within_s
    while (what := left()) or now_s - done_since_s < steady_s:
        if what and now_s > deadline_s:
            print(f"perdure: {what}; it goes on", file=sys.stderr)
            return NOT_YET
        time.sleep(LOOK_S)
        now_s = time.monotonic()
        if what:
            done_since_s = now_s
    print(done)
    return DONE


class _Node:
    """The node port at a URL; a scheme may be left out."""

    def __init__(self, url: str) -> None:
        self._named = url
        self._url = urlsplit(url if "://" in url else f"http://{url}")

    def status(self) -> ClusterStatus:
        return self.ask("GET", "/status", ClusterStatus)

    def ask(self, method: str, path: str, kind: type[T], **parameters: str) -> T:
        """Return the answer.

        Raises:
            _NodeFailed: There is none, it is a refusal, or it is not that of a node port.
        """
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        try:
            status, body = self._ask(method, target)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._no_node_port(str(error)) from None
        if status == 401:
            raise _NodeFailed(f"the node port asks for a token, and {TOKEN} is not set to it")
        if status != 200:
            refusal = body.decode(errors="replace").strip()
            raise _NodeFailed(refusal) if refusal else self._no_node_port(f"{method} {path} was answered with {status}")
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._no_node_port(f"{method} {path} was not answered as a node port does") from None

    def _no_node_port(self, because: str) -> _NodeFailed:
        return _NodeFailed(f"{self._named}: {because}; --node names the node port of a running suite")

    def _ask(self, method: str, target: str) -> tuple[int, bytes]:
        kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}.get(self._url.scheme)
        if kind is None:
            raise ValueError("it begins with neither http:// nor https://")
        connection = kind(self._url.hostname or "", self._url.port, timeout=ANSWER_S_MAX)
        token = os.environ.get(TOKEN, "")
        try:
            connection.request(method, target, headers={"content-length": "0"} | ({"authorization": f"Bearer {token}"} if token else {}))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
