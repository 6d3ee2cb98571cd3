"""How many attempts run at the same time, and who gets the next slot."""

import asyncio
import random
from typing import Final

import msgspec
import pytest

from perdure.model.result import Success
from perdure.model.target import ServiceType
from perdure.sim.cluster import Faults
from perdure.sim.context import Context
from tests.simulation import world
from tests.simulation.cases import FAULTS
from tests.simulation.workloads import PLAIN, Client, ServiceSpec, together
from tests.simulation.world import INVOKERS, Case, simulate

SLOTS: Final = 2


class Backlog:
    """One service has a long backlog when another one gets its first call."""

    def __init__(self) -> None:
        self.running = 0
        self.running_max = 0
        self.done: list[str] = []
        self.services = tuple(ServiceSpec(name, ServiceType.SERVICE, {"work": (PLAIN, self._work)}) for name in ("Busy", "Rare"))

    async def _work(self, context: Context, parameter: bytes) -> bytes:
        async def step() -> bytes:
            self.running += 1
            self.running_max = max(self.running_max, self.running)
            try:
                await asyncio.sleep(0.1)
            finally:
                self.running -= 1
            return parameter

        return await context.run("work", step)

    async def run(self, client: Client, _: random.Random) -> None:
        async def call(service: str, number: int) -> None:
            assert await client.call(service, "work", None, str(number).encode()) == Success(str(number).encode())
            self.done.append(service)

        async def call_later() -> None:
            await asyncio.sleep(0.5)
            await call("Rare", 0)

        await together(*[call("Busy", number) for number in range(60)], call_later())

    def check(self, _: dict[tuple[str, str, str], bytes]) -> list[str]:
        return []


@pytest.mark.parametrize("faults", [Faults(), FAULTS["kills"], FAULTS["failing store"]], ids=["none", "kills", "failing store"])
def test_no_more_attempts_run_than_there_are_slots(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    monkeypatch.setattr(world, "CONFIG", msgspec.structs.replace(world.CONFIG, concurrent_invocations_limit=SLOTS))
    backlog = Backlog()
    verdict = simulate(Case(1, lambda: backlog, "slots", faults))
    assert verdict.violations == []
    assert len(backlog.done) == 61
    if faults == Faults():
        # A handler whose server died goes on for a moment, so that only a run without deaths tells the limit exactly.
        assert backlog.running_max <= SLOTS * INVOKERS
        assert backlog.done.index("Rare") < 40, "it did not wait for the backlog"
