"""TCP ports for the servers of tests: no connection that goes out takes one of them, and no two test processes get the same."""

import functools
import socket
from collections.abc import Iterator
from typing import Final

_SLICES: Final = [range(first, first + 1_000) for first in range(10_000, 30_000, 1_000)]
"""Below what systems give to connections that go out, which could take a port before its server or while that is restarted."""


def free_ports(count: int) -> list[int]:
    """Return `count` ports that nothing listens on and that were never returned before: a server knows deployments by their port."""
    return [next(_ports()) for _ in range(count)]


@functools.cache
def _ports() -> Iterator[int]:
    """Return the ports of a slice that is this process's for as long as it runs: the kernel gives a name to one socket alone."""
    for ports in _SLICES:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0perdure-test-ports-{ports.start}")
        except OSError:
            claim.close()
        else:
            return _free(ports, claim)
    raise AssertionError(f"{len(_SLICES)} other test processes hold all the ports")


def _free(ports: range, _claim: socket.socket) -> Iterator[int]:
    for port in ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
