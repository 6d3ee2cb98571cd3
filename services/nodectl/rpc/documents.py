"""The suite as the metadata documents that restatectl reads: one node, and a log for each partition. Pure.

Each document is JSON after a byte that says so; restatectl takes any codec that it knows. A log stands for what the store keeps of a
partition: it has no positions. Source: shared/spec/nodectl.md, section 4.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import xxhash

from services.nodectl.cluster import ClusterView

NODE_ID: Final = 1
GENERATION: Final = 1
NODE_NAME: Final = "perdure"
VERSION: Final = 1
PROVIDER: Final = "replicated"
REPLICATION: Final = "{node: 1}"
_JSON_CODEC: Final = b"\x05"
_KEYS: Final = 1 << 64
_CLOCK_ORIGIN_MS: Final = 1_640_995_200_000
_CLOCK_COUNTER_BITS: Final = 22
"""Times of the document of nodes: milliseconds since 2022, then a counter."""

Document = dict[str, Any]  # whatever the reader expects of it


def encoded(document: Document) -> bytes:
    """Return a document with its codec before it."""
    return _JSON_CODEC + msgspec.json.encode(document)


def nodes_configuration(view: ClusterView) -> Document:
    """Return the nodes: one, which stands for all processes and is where the reader reached us."""
    versions = {each.software_version for each in view.heartbeats}
    node = {
        "name": NODE_NAME,
        "current_generation": [NODE_ID, GENERATION],
        "address": view.base_url,
        "location": "",
        "roles": view.health.roles,
        "binary_version": ", ".join(sorted(versions)),
        "log_server_config": {"storage_state": "disabled"},
        "metadata_server_config": {"metadata_server_state": "standby"},
        "worker_config": {"worker_state": "active"},
    }
    return {
        "version": VERSION,
        "cluster_name": view.health.cluster_name,
        "cluster_fingerprint": xxhash.xxh3_64_intdigest(view.health.cluster_name.encode()) | 1,  # zero is refused
        "features": [],
        "modified_at": ((view.started_at_ms - _CLOCK_ORIGIN_MS) << _CLOCK_COUNTER_BITS) | 1,
        "name_lookup": {NODE_NAME: NODE_ID},
        "nodes": [[NODE_ID, {"Node": node}]],
    }


def key_range(number: int, partitions: int) -> tuple[int, int]:
    """Return the first and the last partition key of a partition."""
    return -(-number * _KEYS // partitions), -(-(number + 1) * _KEYS // partitions) - 1


def partition_table(view: ClusterView) -> Document:
    """Return the partitions and their ranges of keys."""
    ranges = [key_range(number, view.partitions) for number in range(view.partitions)]
    return {
        "version": VERSION,
        "num_partitions": view.partitions,
        "partitions": [
            [number, {"cf_name": None, "db_name": None, "log_id": None, "key_range": {"start": start, "end": end}}]
            for number, (start, end) in enumerate(ranges)
        ],
        "replication": {"limit": 1},
    }


def logs(view: ClusterView) -> Document:
    """Return a log of one segment for each partition."""
    return {
        "version": VERSION,
        "config": {"default_provider": {PROVIDER: {"replication_property": REPLICATION, "target_nodeset_size": 0}}},
        "logs": [[number, {"chain": [[1, _segment(number)]]}] for number in range(view.partitions)],
    }


def _segment(number: int) -> Document:
    sequencer = f"N{NODE_ID}:{GENERATION}"
    params = {"loglet_id": number << 32, "sequencer": sequencer, "replication": {"node": 1}, "nodeset": [NODE_ID]}
    return {"index": 0, "kind": PROVIDER, "params": msgspec.json.encode(params).decode(), "created_at": None}


def epoch_metadata(view: ClusterView, number: int) -> Document | None:
    """Return who owns a partition; None where nobody ever did."""
    lease = view.leases.get(number)
    if lease is None:
        return None
    return {
        "version": lease.epoch,
        "epoch": lease.epoch,
        "leader_metadata": {"node_id": [NODE_ID, GENERATION], "partition_id": number},
        "current": {"version": VERSION, "replica_set": [NODE_ID], "replication": REPLICATION, "modified_at": 0, "context": {}},
        "next": None,
    }


_BY_KEY: Final[Mapping[str, Callable[[ClusterView], Document]]] = {
    "nodes_config": nodes_configuration,
    "partition_table": partition_table,
    "bifrost_config": logs,
}
_EPOCH_PREFIX: Final = "pp_epoch_"


def by_key(view: ClusterView, key: str) -> Document | None:
    """Return the document that is known by a key, or None."""
    if key in _BY_KEY:
        return _BY_KEY[key](view)
    number = key.removeprefix(_EPOCH_PREFIX)
    return epoch_metadata(view, int(number)) if key.startswith(_EPOCH_PREFIX) and number.isdecimal() and len(number) < 8 else None
