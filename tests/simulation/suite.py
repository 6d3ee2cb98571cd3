"""All workloads, alone and at once."""

import random
from collections.abc import Callable
from typing import Final

from tests.simulation.lifecycle_workloads import Attaching, Expiry, Mutations, Operations, Promises
from tests.simulation.workloads import (
    Awakeables,
    Client,
    Counters,
    DelayedSends,
    Failing,
    OrderedSends,
    SleepStorm,
    Steps,
    TransferRing,
    Workflows,
    Workload,
    together,
)


class Everything:
    """All workloads at once, on the same invokers."""

    def __init__(self) -> None:
        self.parts: list[Workload] = [kind() for kind in SINGLES if kind not in {DelayedSends, Mutations}]  # which share the counters
        self.services = [spec for part in self.parts for spec in part.services]

    async def run(self, client: Client, dice: random.Random) -> None:
        await together(*[part.run(client, dice) for part in self.parts])

    def check(self, state: dict[tuple[str, str, str], bytes]) -> list[str]:
        return [wrong for part in self.parts for wrong in part.check(state)]


SINGLES: Final[tuple[Callable[[], Workload], ...]] = (
    Counters,
    TransferRing,
    SleepStorm,
    Awakeables,
    DelayedSends,
    Steps,
    Failing,
    OrderedSends,
    Workflows,
    Operations,
    Promises,
    Attaching,
    Mutations,
    Expiry,
)
WORKLOADS: Final = (*SINGLES, Everything)
