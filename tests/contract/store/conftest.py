"""One suite for every implementation of `Store`."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.sim.store import SimStore, StoreFaults
from perdure.store.fdb.store import FdbStore
from perdure.store.opening import open_store
from tests.contract.store.places import Place
from tests.fdb.binding import Binding
from tests.fdb.cluster import UNNOTICED_FAULTS, Cluster

CLUSTER_FILE = os.environ.get("PERDURE_FDB_CLUSTER_FILE", "")
FAULTS = StoreFaults(conflict=0.1, delay_s_max=0.0002)


@pytest.fixture(params=["embedded", "fdb", "fdb-simulated", "sim"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sim":
        shared = SimStore(random=random.Random(7), faults=FAULTS)
        yield Place("sim", lambda: shared.client("test"))
    elif request.param == "fdb-simulated":
        binding = Binding(Cluster(seed=7, fault_rate=0.02, faults=UNNOTICED_FAULTS))
        yield Place("fdb-simulated", lambda: FdbStore(binding, binding.open("")))
    elif request.param == "embedded":
        path = str(tmp_path / "perdure.db")
        yield Place("embedded", lambda: open_store(path=path, fdb_cluster_file=None, root="test"), path=path)
    else:
        if not CLUSTER_FILE:
            pytest.skip("PERDURE_FDB_CLUSTER_FILE is not set, so there is no FoundationDB to test against")
        place = Place("fdb", lambda: open_store(path=None, fdb_cluster_file=CLUSTER_FILE, root="test"))
        yield place
        place.run(lambda store: store.transact(lambda tr: tr.clear_range(place.root, place.root + b"\xff")))


@pytest.fixture
def shared_place(place: Place) -> Place:
    """A place that several threads and processes can open."""
    if place.kind in ("sim", "fdb-simulated"):
        pytest.skip("a simulated store lives in one process")
    return place
