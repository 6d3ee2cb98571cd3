"""What several programs print as one stream: whole lines, each with the name of its program."""

import os
import sys
from typing import Final

LINE_BYTES_MAX: Final = 64 * 1024
"""A longer line is cut: a program that never ends one must not fill our memory."""

HELD_BYTES_MAX: Final = 16 * 1024

_COLOURS: Final = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class Output:
    """Prefix lines and write them to standard output.

    Args:
        name_width: Width of the longest name.
    """

    def __init__(self, name_width: int) -> None:
        self.bytes_fed = 0
        self._name_width = name_width
        self._is_coloured = sys.stdout.isatty()
        self._rest_by_name: dict[str, bytes] = {}
        self._held_by_name: dict[str, bytes] = {}
        self._prefix_by_name: dict[str, bytes] = {}

    def feed(self, name: str, data: bytes, *, is_held: bool = False) -> None:
        """Write the lines that `data` completes, or hold the last of them until `release`."""
        self.bytes_fed += len(data)
        whole, newline, rest = (self._rest_by_name.get(name, b"") + data).rpartition(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            whole, newline, rest = whole + newline + rest, b"\n", b""
        self._rest_by_name[name] = rest
        if not newline:
            return
        if is_held:
            self._held_by_name[name] = (self._held_by_name.get(name, b"") + whole + b"\n")[-HELD_BYTES_MAX:]
        else:
            self._write(name, whole)

    def release(self, name: str) -> None:
        """Write what is held of a program and its unfinished line."""
        text = self._held_by_name.pop(name, b"") + self._rest_by_name.pop(name, b"")
        if text:
            self._write(name, text.rstrip(b"\n"))

    def line(self, text: str) -> None:
        """Write a line without a prefix."""
        _put(text.encode() + b"\n")

    def _write(self, name: str, lines: bytes) -> None:
        prefix = self._prefix_by_name.get(name)
        if prefix is None:
            prefix = self._prefix_by_name[name] = self._make_prefix(name)
        _put(b"".join(prefix + line + b"\n" for line in lines.split(b"\n")))

    def _make_prefix(self, name: str) -> bytes:
        padded = f"{name:<{self._name_width}} | "
        if not self._is_coloured:
            return padded.encode()
        return f"\x1b[{_COLOURS[len(self._prefix_by_name) % len(_COLOURS)]}m{padded}\x1b[0m".encode()


def _put(data: bytes) -> None:
    """Write to standard output, from now on to nowhere where nobody reads it any more: the terminal or the other end of a pipe is gone."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
