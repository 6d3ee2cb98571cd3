"""Which errors end a process with one line, and which with a traceback."""

from perdure.base.errors import DiskFull, StoreError
from perdure.process.runtime import _known_cause


def test_an_error_of_ours_that_ended_a_group_of_tasks_is_what_is_reported() -> None:
    cause = DiskFull("no space left")
    assert _known_cause(ExceptionGroup("tasks", [ExceptionGroup("inner", [cause])])) is cause


def test_a_group_that_holds_a_defect_is_reported_whole() -> None:
    assert _known_cause(ExceptionGroup("tasks", [StoreError("gone"), KeyError("a defect")])) is None
    assert _known_cause(KeyError("a defect")) is None
