"""Start a server and the example services, call them, kill the invoker in the middle of a workflow, and count its effects.

Needs nothing that runs already: free ports, a temporary directory, and the two environments that `make demo` prepares.
"""

import contextlib
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent.parent
PATIENCE_S: Final = 60.0
PEOPLE: Final = ("ada", "grace")


def say(text: str) -> None:
    """Tell what happens, with the time since the start."""
    print(f"{time.monotonic() - STARTED:6.2f} s  {text}", flush=True)


def free_ports(count: int) -> list[int]:
    """Return as many ports that nothing listens on and that no connection that goes out is given."""
    return list(itertools.islice(filter(is_free, random.sample(range(20_000, 30_000), 10_000)), count))


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a port."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def post(url: str, body: Any) -> Any:
    """Post JSON and return the JSON that comes back."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def get(url: str) -> bytes:
    """Return the body of a page."""
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        return answer.read()


def wait_until(is_true: Callable[[], bool], what: str) -> None:
    """Wait until something holds; end the demo if it does not."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not within {PATIENCE_S:.0f} s")
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Tell whether a server answers at this address."""
    with contextlib.suppress(OSError):
        get(url)
        return True
    return False


@contextlib.contextmanager
def running(command: list[str], log: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program beside the demo and end it afterwards."""
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, cwd=HERE, env={**os.environ, **env}, start_new_session=True)
    try:
        yield process
    except (Exception, SystemExit):
        print(f"\nThe end of {log.name}:\n{log.read_text(errors='replace')[-3_000:]}", file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def invokers(parent: int) -> list[int]:
    """Return the ids of the invoker processes that `perdure up` has started."""
    found: list[int] = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_child = int((directory / "stat").read_text().rpartition(")")[2].split()[1]) == parent
            if is_child and b"services.invoker" in (directory / "cmdline").read_bytes():
                found.append(int(directory.name))
    return found


def show_calls(ingress: str) -> None:
    """A greeting, and a counter that two callers share."""
    say(f"greet        -> {post(f'{ingress}/Greeter/greet', 'Ada')}")
    totals = [post(f"{ingress}/Counter/apples/add", amount) for amount in (1, 2, 3)]
    say(f"count apples -> add 1, add 2, add 3 gave {totals}")
    assert totals == [1, 3, 6]


def show_workflow(ingress: str, server_pid: int, ledger: Path) -> None:
    """Five steps each for two people, with the invoker killed after the third."""
    started = {person: post(f"{ingress}/Signup/{person}/run/send", {"email": f"{person}@example.com"}) for person in PEOPLE}
    say(f"sign up      -> {' and '.join(PEOPLE)} started: five steps each, and a pause of 2 s after the third")
    wait_until(lambda: ledger.read_text().count("reserve a seat") == len(PEOPLE), "the first three steps")
    for line in ledger.read_text().splitlines():
        say(f"                  done: {line}")
    time.sleep(0.5)  # The pause of the workflows has begun: the third step is journaled.
    for pid in invokers(server_pid):
        os.kill(pid, signal.SIGKILL)
        say(f"kill -9      -> invoker, process {pid}, is dead in the middle of both")
    for person in PEOPLE:
        result = json.loads(get(f"{ingress}/restate/invocation/{started[person]['invocationId']}/attach"))
        say(f"result       -> {person}: {len(result)} steps done")
    say(f"back         -> invoker, process {', '.join(map(str, invokers(server_pid)))}, has carried on from the journal")


def count_effects(ledger: Path) -> None:
    """Print how often each step had its effect; once is right."""
    print("\nEffects outside of the server, counted:\n")
    counts = Counter(ledger.read_text().splitlines())
    for effect, times in counts.items():
        print(f"    {times} x  {effect}")
    assert len(counts) == 5 * len(PEOPLE), "a step is missing"
    assert set(counts.values()) == {1}, "a step was done twice"
    print("\nEvery step was done exactly once.")


def main() -> None:
    """Run the whole demonstration in a temporary directory."""
    ingress_port, admin_port, sql_port, node_port, service_port = free_ports(5)
    ingress, admin = f"http://127.0.0.1:{ingress_port}", f"http://127.0.0.1:{admin_port}"
    ports = {"ingress": ingress_port, "admin": admin_port, "sql": sql_port, "node": node_port}
    flags = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
    with tempfile.TemporaryDirectory(prefix="perdure-demo-") as directory, contextlib.ExitStack() as stack:
        home = Path(directory)
        ledger = home / "ledger.txt"
        ledger.touch()
        up = [str(HERE / ".venv/bin/perdure"), "up", "--base-dir", str(home / "data"), "--bind", "127.0.0.1", *flags]
        server = stack.enter_context(running(up, home / "server.log", {}))
        serve = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{service_port}", "examples.app:app"]
        stack.enter_context(running(serve, home / "services.log", {"SIGNUP_LEDGER": str(ledger)}))
        wait_until(lambda: "perdure is ready:" in (home / "server.log").read_text(), "the server starts")
        say(f"perdure up   -> NATS and five processes are ready, ingress at {ingress}")
        wait_until(lambda: answers(f"http://127.0.0.1:{service_port}/health"), "the services start")
        deployment = post(f"{admin}/deployments", {"uri": f"http://127.0.0.1:{service_port}"})
        say(f"register     -> {deployment['id']} serves {', '.join(service['name'] for service in deployment['services'])}")
        show_calls(ingress)
        show_workflow(ingress, server.pid, ledger)
        count_effects(ledger)


STARTED: Final = time.monotonic()
if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: what was started is ended
        signal.signal(number, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nstopped")
