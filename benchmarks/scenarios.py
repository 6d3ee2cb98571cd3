"""What is measured: one row per kind of call and number of callers."""

import json
from typing import Any, Final

import msgspec


class Scenario(msgspec.Struct, frozen=True):
    """A call repeated by a number of callers, each waiting for its answer before the next.

    `path` may hold `{key}`, which becomes one of `keys` keys in turn.
    """

    name: str
    path: str
    body: Any
    callers: int
    keys: int = 1
    is_one_way: bool = False

    @property
    def payload(self) -> bytes:
        """Return the request body as JSON."""
        return json.dumps(self.body).encode()


SCENARIOS: Final = (
    Scenario("greet C=1", "/Greeter/greet", "Ada Lovelace", 1),
    Scenario("greet C=16", "/Greeter/greet", "Ada Lovelace", 16),
    Scenario("greet C=64", "/Greeter/greet", "Ada Lovelace", 64),
    Scenario("counter, 1 key, C=64", "/Counter/{key}/add", 1, 64),
    Scenario("counter, 1000 keys, C=64", "/Counter/{key}/add", 1, 64, keys=1_000),
    Scenario("five steps C=16", "/Steps/run", {"count": 5}, 16),
    Scenario("chain C=16", "/Chain/greet", "Ada Lovelace", 16),
    Scenario("one-way C=64", "/Greeter/greet/send", "Ada Lovelace", 64, is_one_way=True),
)
