"""How long a program that ended waits for its next start."""

from perdure.cli.supervisor import BACKOFF_S_MAX, BACKOFF_S_MIN, STEADY_S, Program, _Child


def a_child() -> _Child:
    return _Child(Program("sql", "sql", ["sql"], {}))


def test_a_program_that_was_ready_for_a_while_starts_again_at_once() -> None:
    child = a_child()
    child.address = "127.0.0.1:9071"
    assert [child.plan_restart(STEADY_S * 2) for _ in range(3)] == [BACKOFF_S_MIN] * 3


def test_one_that_takes_its_time_to_fail_waits_longer_and_longer() -> None:
    child = a_child()
    delays = [child.plan_restart(STEADY_S * 2) for _ in range(8)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (BACKOFF_S_MIN, BACKOFF_S_MAX)
