"""Tell whether the process of this container works: `python health.py ROLE` ends with 0, or with 1 and a line that says why not.

Processes with a port are asked there. An invoker has none: it must answer a request for metrics, which shows that it is connected and not
stuck. It is told from other invokers by when it was started.
"""

import asyncio
import os
import re
import socket
import ssl
import sys
import urllib.request
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 5.0
ANSWERS_S: Final = 1.0
"""How long the invokers may take to answer."""

URLS: Final = {
    "ingress": "127.0.0.1:8080/restate/health",
    "admin": "127.0.0.1:9070/health",
    "nodectl": "127.0.0.1:5122/health",
    "nats": "127.0.0.1:8222/healthz",
}
SQL: Final = ("127.0.0.1", 9071)
START_TIME: Final = re.compile(rb"^process_start_time_seconds(?:\{.*\})? (\S+)$", re.MULTILINE)
PRECISION_S: Final = 0.5


def check(role: str) -> str:
    """Return what is wrong, or nothing."""
    if role == "invoker":
        return asyncio.run(check_invoker())
    try:
        if role == "sql":
            socket.create_connection(SQL, TIMEOUT_S).close()
        else:
            ask(role)
    except OSError as error:
        return f"{role}: {error}"
    return ""


def ask(role: str) -> None:
    """Ask a process for its health. With TLS, whose certificate is for another name than this, a finished handshake says enough."""
    if f"PERDURE_{role.upper()}__TLS_CERT_FILE" not in os.environ:
        urllib.request.urlopen(f"http://{URLS[role]}", timeout=TIMEOUT_S).close()  # our own addresses
        return
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, _, port = URLS[role].partition("/")[0].partition(":")
    with socket.create_connection((host, int(port)), TIMEOUT_S) as connection:
        context.wrap_socket(connection).close()


async def check_invoker() -> str:
    """Ask all processes for their metrics, and look for the first process of this container among the answers."""
    from perdure.bus.interface import NoResponders
    from perdure.bus.messages import MetricsSnapshot, decoder_of
    from perdure.bus.nats import connect
    from perdure.bus.subjects import Subjects
    from perdure.process.config import CommonConfig, read

    config = read(CommonConfig, [], section="invoker", environ=common_variables())
    tls = None
    if config.nats_tls_ca_file or config.nats_tls_cert_file:
        tls = ssl.create_default_context(cafile=config.nats_tls_ca_file or None)
        if config.nats_tls_cert_file:
            tls.load_cert_chain(config.nats_tls_cert_file, config.nats_tls_key_file or None)
    own = started_at_s(1)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            bus = await connect(
                config.nats_url,
                tls=tls,
                user=config.nats_user,
                password=config.nats_password,
                credentials_file=config.nats_credentials_file,
            )
            answers = await bus.gather(Subjects(config.root).metrics, b"", timeout_s=ANSWERS_S, replies_max=1_000)
            await bus.close()
    except (NoResponders, TimeoutError) as error:
        return f"invoker: nothing answers over NATS: {error!r}"
    for snapshot in map(decoder_of(MetricsSnapshot).decode, answers):
        found = START_TIME.search(snapshot.text)
        if snapshot.role == "invoker" and found is not None and abs(float(found[1]) - own) < PRECISION_S:
            return ""
    return f"invoker: {len(answers)} processes answer over NATS, and this one does not"


def common_variables() -> dict[str, str]:
    """Return the variables that all processes share; those of sections are of no use here."""
    return {name: value for name, value in os.environ.items() if name.startswith("PERDURE_") and "__" not in name}


def started_at_s(process_id: int) -> float:
    """Return when a process was started, as it says in its own metrics."""
    ticks = int(Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[19])
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return float(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    if problem := check(sys.argv[1]):
        sys.exit(problem)
