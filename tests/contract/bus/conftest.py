from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.bus.nats_server import NatsServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A running NATS server that the test may kill."""
    running = NatsServer(tmp_path)
    running.start()
    yield running
    running.kill()
