"""Start programs, pass on what they print, start crashed ones again, stop all in order.

One thread and one selector, so that it is small, starts at once, and its children can be tied to its life: the kernel kills them when
this thread ends, however it ends.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, cast

import msgspec

from perdure.cli.output import Output
from perdure.process import notify, parent

BACKOFF_S_MIN: Final = 0.1
BACKOFF_S_MAX: Final = 5.0
STEADY_S: Final = 1.0
"""A program that was ready and lived this long starts with the shortest backoff again."""

LOADING_S_MAX: Final = 1.0
"""A program that is not ready by then waits for something other than a processor."""

WRONG_SETTING: Final = 2
"""Exit status of a program that cannot start because of a setting or a port: starting it again would not help."""

_KILL_RESERVE_S: Final = 0.3


class Program(msgspec.Struct, frozen=True):
    """What to run."""

    name: str
    role: str
    command: list[str]
    environ: dict[str, str]
    reports_ready: bool = True
    is_quiet: bool = False
    """What it prints is shown only where it ends unasked."""


class _Child:
    """One program and its present process."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.address: str | None = None
        self.complaint = ""
        """Why its latest process could not go on, in its own words."""
        self.was_ready = False
        self.started_at_s = 0.0
        self.start_at_s: float | None = None
        """When to start it again; None while it runs or shall not run any more."""
        self.backoff_s = BACKOFF_S_MIN

    def plan_restart(self, now_s: float) -> float:
        """Note that it is to start again; return in how many seconds."""
        if self.address is not None and now_s - self.started_at_s >= STEADY_S:
            self.backoff_s = BACKOFF_S_MIN
        delay_s = self.backoff_s
        self.backoff_s = min(BACKOFF_S_MAX, self.backoff_s * 2)
        self.start_at_s = now_s + delay_s
        return delay_s


class Supervisor:
    """Run programs until SIGTERM, SIGINT or SIGHUP.

    Loading costs each of them a third of a second of a processor. Started all at once they would be ready together and late; so no more
    load at a time than there are processors, and from when the first is ready one is left to the work that it begins.

    Args:
        programs: In the order of their start.
        stop_order: Roles; each stops when those before it have.
        grace_s: How long all of it may take, before what is left is killed.
        ready_line: Printed once when all have reported ready, with the addresses filled in by role.
    """

    def __init__(self, programs: Sequence[Program], *, stop_order: Sequence[str], grace_s: float, ready_line: str) -> None:
        self._children = [_Child(program) for program in programs]
        self._unstarted = deque(self._children)
        self._stop_order = stop_order
        self._grace_s = grace_s
        self._ready_line = ready_line
        self._output = Output(max(len(program.name) for program in programs))
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._is_announced = False
        self._status = 0
        self._last_words = ""

    def run(self) -> int:
        """Return the exit status: 0 after a signal, 2 where a program cannot start because of a setting."""
        with contextlib.ExitStack() as stack:
            self._notifications = stack.enter_context(_Notifications())
            self._listen_for_signals(stack)
            self._selector.register(self._notifications.socket, selectors.EVENT_READ, self._take_notification)
            try:
                while not self._signals and not self._status:
                    self._start_due()
                    self._start_next()
                    self._turn(self._until_next_start_s())
                    self._reap()
                self._stop()
            finally:
                self._kill_all()
        if self._last_words:
            print(f"perdure: {self._last_words}", file=sys.stderr)
        return self._status

    def _listen_for_signals(self, stack: contextlib.ExitStack) -> None:
        reader, writer = socket.socketpair()
        stack.enter_context(reader)
        stack.enter_context(writer)
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        stack.callback(signal.set_wakeup_fd, -1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: self._signals.append(received))
        signal.signal(signal.SIGCHLD, lambda _received, _frame: None)
        self._selector.register(reader, selectors.EVENT_READ, lambda: reader.recv(4096))

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for child in self._children:
            if child.start_at_s is not None and child.start_at_s <= now_s:
                self._start(child)

    def _start_next(self) -> None:
        while self._unstarted and len(self._loading()) < self._loading_max():
            self._start(self._unstarted.popleft())

    def _loading_max(self) -> int:
        is_working = any(child.was_ready for child in self._children)
        return max(1, (os.cpu_count() or 1) - is_working)

    def _loading(self) -> list[_Child]:
        after_s = time.monotonic() - LOADING_S_MAX
        return [child for child in self._children if child.process and child.address is None and child.started_at_s > after_s]

    def _start(self, child: _Child) -> None:
        child.start_at_s = None
        child.started_at_s = time.monotonic()
        child.address = None if child.program.reports_ready else ""
        child.complaint = ""
        own_pid = os.getpid()
        process = subprocess.Popen(  # noqa: S603  # our own programs
            child.program.command,
            env={**child.program.environ, notify.VARIABLE: self._notifications.name, parent.VARIABLE: str(own_pid)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone, so that we can stop them in order
            preexec_fn=lambda: parent.die_with_parent(own_pid),  # noqa: PLW1509  # there is only one thread
        )
        child.process = process
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, lambda: self._pass_on(child, process))

    def _until_next_start_s(self) -> float | None:
        planned = [child.start_at_s for child in self._children if child.start_at_s is not None]
        if self._unstarted:
            planned += [child.started_at_s + LOADING_S_MAX for child in self._loading()]
        return max(0.0, min(planned) - time.monotonic()) if planned else None

    def _turn(self, timeout_s: float | None) -> None:
        for key, _ in self._selector.select(timeout_s):
            key.data()

    def _pass_on(self, child: _Child, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        data = process.stdout.read(65536)
        if data is None:
            return
        if data:
            self._output.feed(child.program.name, data, is_held=child.program.is_quiet)
        else:
            self._selector.unregister(process.stdout)
            process.stdout.close()

    def _take_notification(self) -> None:
        for fields in self._notifications.receive():
            child = next((child for child in self._children if child.process and str(child.process.pid) == fields.get("MAINPID")), None)
            if child is None:
                continue
            child.complaint = fields.get("STATUS", child.complaint)
            if fields.get("READY") == "1":
                child.address = fields.get(notify.ADDRESS_KEY, "")
                child.was_ready = True
        if not self._is_announced and all(child.address is not None for child in self._children):
            self._is_announced = True
            self._output.line(self._ready_line.format(**{child.program.role: child.address for child in self._children}))

    def _reap(self) -> None:
        self._take_notification()  # what a process said last is read before it is forgotten
        for child in self._children:
            if child.process is None or child.process.poll() is None:
                continue
            status = child.process.returncode
            self._drain(child, child.process)
            child.process = None
            self._output.release(child.program.name)
            if status == WRONG_SETTING and not child.was_ready:
                self._last_words = f"{child.program.name} cannot start: {child.complaint or 'what it printed says why'}"
                self._status = WRONG_SETTING
                return
            delay_s = child.plan_restart(time.monotonic())
            self._say(f"{child.program.name} ended with status {status}, starting it again in {delay_s:.1f} s")

    def _drain(self, child: _Child, process: subprocess.Popen[bytes]) -> None:
        """Pass on the last words of a process that has ended."""
        while process.stdout is not None and not process.stdout.closed:
            before = self._output.bytes_fed
            self._pass_on(child, process)
            if self._output.bytes_fed == before and not process.stdout.closed:
                return

    def _stop(self) -> None:
        self._say("stopping")
        received = len(self._signals)
        started_at_s = time.monotonic()
        deadline_s = started_at_s + self._grace_s - _KILL_RESERVE_S
        stages = [[child for child in self._children if child.program.role == role] for role in self._stop_order]
        for number, stage in enumerate(stages, start=1):
            for child in stage:
                child.start_at_s = None
                if child.process is not None:
                    child.process.send_signal(signal.SIGTERM)
            # What is left is shared evenly among the stages to come, so that one that hangs does not take all.
            stage_ends_at_s = time.monotonic() + (deadline_s - time.monotonic()) * 2 / (len(stages) - number + 2)
            while self._any_runs(stage) and (left_s := stage_ends_at_s - time.monotonic()) > 0 and len(self._signals) == received:
                self._turn(left_s)
            for child in stage:
                if child.process is not None and child.process.poll() is None:
                    self._say(f"{child.program.name} did not stop in time, killing it")
                    child.process.kill()

    def _any_runs(self, children: list[_Child]) -> bool:
        return any(child.process is not None and child.process.poll() is None for child in children)

    def _kill_all(self) -> None:
        for child in self._children:
            if child.process is not None:
                if child.process.poll() is None:
                    child.process.kill()
                child.process.wait()
                self._drain(child, child.process)

    def _say(self, text: str) -> None:
        self._output.feed("up", f"{text}\n".encode())


class _Notifications:
    """The socket on which programs report that they are ready."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self._path = ""

    def __enter__(self) -> "_Notifications":
        if sys.platform.startswith("linux"):
            # Bound to no name, the kernel chooses one that is in no directory and goes with us.
            self.socket.bind("")
            self.name = "@" + cast("bytes", self.socket.getsockname())[1:].decode()
        else:
            self._path = self.name = f"/tmp/perdure-{os.getpid()}.sock"  # noqa: S108  # a socket path must be short
            self.socket.bind(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        if self._path:
            os.unlink(self._path)

    def receive(self) -> list[dict[str, str]]:
        """Return what has come."""
        received: list[dict[str, str]] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                received.append(notify.fields_of(self.socket.recv(4096)))
        return received
