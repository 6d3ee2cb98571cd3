"""What is measured: one row per kind of call and number of callers."""

import json
from typing import Any, Final

import msgspec

from perdure.codec.descriptors.keys import encode_varint
from perdure.codec.rpc.grpc import encode_message


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
    is_grpc: bool = False
    """Only ours answers."""

    @property
    def payload(self) -> bytes:
        """Return the request body: JSON, which gRPC carries as the bytes of field 2."""
        text = json.dumps(self.body).encode()
        return encode_message(b"\x12" + encode_varint(len(text)) + text) if self.is_grpc else text


SCENARIOS: Final = (
    Scenario("greet C=1", "/Greeter/greet", "Ada Lovelace", 1),
    Scenario("greet C=16", "/Greeter/greet", "Ada Lovelace", 16),
    Scenario("greet C=64", "/Greeter/greet", "Ada Lovelace", 64),
    Scenario("greet over gRPC C=64", "/Greeter/greet", "Ada Lovelace", 64, is_grpc=True),
    Scenario("counter, 1 key, C=64", "/Counter/{key}/add", 1, 64),
    Scenario("counter, 1000 keys, C=64", "/Counter/{key}/add", 1, 64, keys=1_000),
    Scenario("five steps C=16", "/Steps/run", {"count": 5}, 16),
    Scenario("chain C=16", "/Chain/greet", "Ada Lovelace", 16),
    Scenario("one-way C=64", "/Greeter/greet/send", "Ada Lovelace", 64, is_one_way=True),
)
