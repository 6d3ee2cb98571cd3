import os
import subprocess
import sys

import pytest

from perdure.cli.output import LINE_BYTES_MAX, Output


def test_each_line_carries_the_name_of_its_program(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output = Output(7)
    output.feed("nats", b"one\ntwo\n")
    output.feed("ingress", b"three\n")
    assert capfdbinary.readouterr().out == b"nats    | one\nnats    | two\ningress | three\n"


def test_pieces_of_lines_of_two_programs_do_not_mix(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output = Output(1)
    output.feed("a", b"hel")
    output.feed("b", b"wor")
    output.feed("a", b"lo\n")
    output.feed("b", b"ld\n")
    assert capfdbinary.readouterr().out == b"a | hello\nb | world\n"


def test_an_unfinished_line_comes_with_the_end_of_its_program(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output = Output(1)
    output.feed("a", b"last words")
    output.release("a")
    output.release("a")
    assert capfdbinary.readouterr().out == b"a | last words\n"


def test_held_lines_are_shown_only_when_released(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output = Output(1)
    output.feed("a", b"quiet\n", is_held=True)
    assert capfdbinary.readouterr().out == b""
    output.release("a")
    assert capfdbinary.readouterr().out == b"a | quiet\n"


def test_a_line_without_end_does_not_fill_the_memory(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output = Output(1)
    output.feed("a", b"x" * (LINE_BYTES_MAX + 1))
    assert len(capfdbinary.readouterr().out) == LINE_BYTES_MAX + 1 + len(b"a | \n")


def test_output_that_nobody_reads_any_more_is_no_reason_to_end() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = "from perdure.cli.output import Output; out = Output(1); [out.line('x') for _ in range(3)]"
    done = subprocess.run([sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE, timeout=30, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
