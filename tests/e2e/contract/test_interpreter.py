"""Random programs of many commands: whatever is interleaved and repeated, each increment counts once."""

import random
from collections import Counter
from typing import Any, Final

import pytest

from tests.e2e.contract.conftest import Contract
from tests.e2e.contract.services_py.interpreter import Kind
from tests.e2e.processes import eventually

INCREMENTS: Final = (Kind.INCREMENT, Kind.INCREMENT_INDIRECTLY, Kind.INCREMENT_VIA_DELAYED_CALL, Kind.INCREMENT_VIA_AWAKEABLE)
STARTERS: Final = (
    Kind.CALL_SERVICE,
    Kind.CALL_SLOW_SERVICE,
    Kind.RECOVER_TERMINAL_CALL_MAYBE_UNAWAITED,
    Kind.RESOLVE_AWAKEABLE,
    Kind.REJECT_AWAKEABLE,
)
STEPS: Final = (
    Kind.SET_STATE,
    Kind.GET_STATE,
    Kind.CLEAR_STATE,
    Kind.SLEEP,
    Kind.SIDE_EFFECT,
    Kind.THROWING_SIDE_EFFECT,
    Kind.RECOVER_TERMINAL_CALL,
)


class Writer:
    """Writes programs from a seed, and keeps what each counter must come to."""

    def __init__(self, seed: int, key: str) -> None:
        self._random = random.Random(seed)
        self._key = key
        self.expected: Counter[tuple[int, str]] = Counter()

    def program(self, layer: int, key: str, length: int) -> dict[str, Any]:
        commands: list[dict[str, Any]] = []
        pending: list[int] = []
        while len(commands) < length:
            self._add(commands, pending, layer, key)
            if pending and self._random.random() < 0.3:
                commands.append({"kind": Kind.AWAIT, "index": pending.pop(self._random.randrange(len(pending)))})
        commands += [{"kind": Kind.AWAIT, "index": index} for index in pending if self._random.random() < 0.8]
        return {"commands": commands}

    def _add(self, commands: list[dict[str, Any]], pending: list[int], layer: int, key: str) -> None:
        kind = self._random.choice([*INCREMENTS, *STARTERS, *STEPS, *([Kind.CALL_NEXT_LAYER] if layer < 2 else [])])
        command: dict[str, Any] = {"kind": kind, "key": self._random.randrange(3), "duration": 5, "sleep": 5}
        if kind in INCREMENTS:
            self.expected[layer, key] += 1
        elif kind is Kind.CALL_NEXT_LAYER:
            command["key"] = f"{self._key}-{layer}-{self._random.randrange(2)}"
            command["program"] = self.program(layer + 1, command["key"], length=3)
            pending.append(len(commands))
        elif kind in STARTERS:
            pending.append(len(commands))
        commands.append(command)


@pytest.mark.parametrize("seed", range(3))
def test_every_increment_of_a_program_counts_once(contract: Contract, key: str, seed: int) -> None:
    writer = Writer(seed, key)
    programs = [writer.program(0, f"{key}-{number}", length=25) for number in range(3)]
    started = [contract.send("ObjectInterpreterL0", f"{key}-{number}", "interpret", body=each) for number, each in enumerate(programs)]
    for invocation in started:
        answer = contract.suite.attach(invocation)
        assert answer.status_code == 200, answer.text

    def counters() -> dict[tuple[int, str], int]:
        return {place: contract.result(f"ObjectInterpreterL{place[0]}", place[1], "counter") for place in writer.expected}

    eventually(lambda: counters() == dict(writer.expected), f"counters become {writer.expected}")
