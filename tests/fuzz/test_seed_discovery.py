"""Broken discovery responses of the seed era: services, or a refusal that says why; nothing else."""

import random
from typing import Final

import pytest

from perdure.deployments.errors import DiscoveryError
from perdure.deployments.seed.manifest import parse_seed_manifest
from tests.fuzz.test_service_protocol import BREAKS
from tests.unit.deployments.seed_descriptors import a_file, a_response

INPUTS: Final = 4_000
SEEDS: Final = range(3)
RESPONSES: Final = [a_response(a_file()), a_response(a_file(by_name=False), mode=1), a_response(a_file(), a_file(service="Other"))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_broken_response_is_read_or_refused(seed: int) -> None:
    dice = random.Random(seed)
    refused = 0
    for number in range(INPUTS):
        stream = bytearray(dice.choice(RESPONSES))
        for _ in range(dice.randrange(1, 4)):
            dice.choice(BREAKS[:-1])(stream, dice)
        try:
            parse_seed_manifest(bytes(stream), http_version="HTTP/2.0", sdk_version=None)
        except DiscoveryError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"input {number} of seed {seed}: {bytes(stream).hex()}") from error
    assert 0 < refused < INPUTS
