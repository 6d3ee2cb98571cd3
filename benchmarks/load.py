"""Closed-loop load on one scenario: h2load for gRPC; else wrk where it is installed, and a plain asyncio client where not."""

import asyncio
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from benchmarks.scenarios import Scenario

WRK_SCRIPT: Final = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [==[%(body)s]==]
local number = 0
request = function()
  number = number + 1
  local path = string.gsub("%(path)s", "{key}", "%(run)s-" .. (number %% %(keys)d))
  return wrk.format(nil, path)
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %%d %%d %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(90), latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
"""


class Sample(msgspec.Struct):
    """What the callers saw: calls answered with success, wall time, latencies in ms, errors, and the CPU of the load itself."""

    calls: int
    wall_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    errors: int
    load_cpu_s: float


def apply_load(url: str, scenario: Scenario, *, seconds: int, run: str) -> Sample:
    """Call `scenario` for `seconds`; `run` makes its keys new ones."""
    if scenario.is_grpc:
        return _h2load(url, scenario, seconds)
    if shutil.which("wrk"):
        return _wrk(url, scenario, seconds, run)
    return asyncio.run(_plain(url, scenario, seconds, run))


def _wrk(url: str, scenario: Scenario, seconds: int, run: str) -> Sample:
    script = WRK_SCRIPT % {"body": scenario.payload.decode(), "path": scenario.path, "run": run, "keys": scenario.keys}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        flags = ["-t", "1", "-c", str(scenario.callers), "-d", f"{seconds}s", "--timeout", "30s", "-s", file.name]
        printed = subprocess.run(["wrk", *flags, url], check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = next(line for line in printed.splitlines() if line.startswith("RESULT"))
    requests, wall_us, p50_us, p90_us, p99_us, refused, failed = (int(part) for part in line.split()[1:])
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(requests - refused, wall_us / 1e6, p50_us / 1e3, p90_us / 1e3, p99_us / 1e3, refused + failed, cpu_s)


def _h2load(url: str, scenario: Scenario, seconds: int) -> Sample:
    """One connection for each caller, as wrk has. That calls end with status OK is not looked at: the tests do that."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as directory:
        body, log = Path(directory) / "body", Path(directory) / "log"
        body.write_bytes(scenario.payload)
        head = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        flags = ["-t", "1", "-c", str(scenario.callers), "-m", "1", "-D", str(seconds), "-d", str(body), f"--log-file={log}"]
        subprocess.run(["h2load", *flags, *head, url + scenario.path], check=True, capture_output=True)
        lines = [line.split() for line in log.read_text().splitlines()]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    latencies = sorted(int(duration_us) / 1e3 for _, status, duration_us in lines if status == "200")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(len(latencies), float(seconds), *_percentiles(latencies), len(lines) - len(latencies), cpu_s)


def _percentiles(sorted_ms: list[float]) -> tuple[float, float, float]:
    p50, p90, p99 = (sorted_ms[min(len(sorted_ms) - 1, int(share * len(sorted_ms)))] for share in (0.5, 0.9, 0.99))
    return p50, p90, p99


async def _plain(url: str, scenario: Scenario, seconds: int, run: str) -> Sample:
    latencies: list[float] = []
    errors = number = 0
    started, cpu = time.monotonic(), time.process_time()

    async def caller() -> None:
        nonlocal errors, number
        reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
        while time.monotonic() < started + seconds:
            number += 1
            path = scenario.path.replace("{key}", f"{run}-{number % scenario.keys}")
            before = time.perf_counter()
            status = await _post(reader, writer, path, scenario.payload)
            latencies.append((time.perf_counter() - before) * 1e3)
            errors += not 200 <= status < 300
        writer.close()

    await asyncio.gather(*(caller() for _ in range(scenario.callers)))
    wall_s, cpu_s = time.monotonic() - started, time.process_time() - cpu
    return Sample(len(latencies) - errors, wall_s, *_percentiles(sorted(latencies)), errors, cpu_s)


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: bytes) -> int:
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = answer.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length or b"0"))
    return int(answer[9:12])
