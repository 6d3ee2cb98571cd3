"""Sub-commands that ask the node port of a running suite."""

import http.client
import sys
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

DONE, FAILED = 0, 2
"""Exit statuses."""

ANSWER_S_MAX: Final = 10.0


class _Process(msgspec.Struct):
    role: str
    process_id: str


class _Told(msgspec.Struct):
    level: str
    processes: list[_Process]


def run_log_level(node_url: str, level: str, role: str) -> int:
    """Change the level of the processes of a role (all if it is empty), and print which they are; return the exit status."""
    try:
        status, body = _put(node_url, "/log-level?" + urlencode({"level": level, "role": role}))
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"perdure: {node_url}: {error}; --node names the node port of a running suite", file=sys.stderr)
        return FAILED
    if status != 200:
        print(f"perdure: {body.decode(errors='replace').strip()}", file=sys.stderr)
        return FAILED
    told = msgspec.json.decode(body, type=_Told)
    for process in told.processes:
        print(f"{process.role}  {process.process_id}  {told.level}")
    return DONE


def _put(node_url: str, target: str) -> tuple[int, bytes]:
    url = urlsplit(node_url if "://" in node_url else f"http://{node_url}")
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=ANSWER_S_MAX)
    try:
        connection.request("PUT", target, headers={"content-length": "0"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
