"""`perdure check`, `backup` and `restore`: from settings to the work on a store, and what a person reads of it."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from perdure.base.errors import PerdureError
from perdure.cli.up import UpConfig
from perdure.process.config import fdb_options, read
from perdure.store.keyspace import Keyspace
from perdure.store.opening import open_store
from perdure.upkeep.backup import back_up, restore
from perdure.upkeep.check import check
from perdure.upkeep.findings import Finding

SOUND, DAMAGED, FAILED = 0, 1, 2
"""Exit statuses."""

FINDINGS_SHOWN_MAX: Final = 1_000
STORE_FILE: Final = "perdure.db"


def run_check(flags: Mapping[str, str]) -> int:
    """Print what is wrong with a store, a line each; return the exit status."""
    try:
        config = _settings(flags)
        findings = asyncio.run(_check(config))
    except PerdureError as error:
        return _failed(error)
    for finding in findings[:FINDINGS_SHOWN_MAX]:
        print(f"{finding.damage}  {finding.place}  {finding.message}")
    if findings:
        print(f"{len(findings)} findings; docs/guides/upkeep.md tells what they mean")
        return DAMAGED
    print("the store is sound")
    return SOUND


def run_backup(copy: Path, flags: Mapping[str, str]) -> int:
    """Copy the embedded store to a file; return the exit status."""
    try:
        size = back_up(Path(_settings(flags).base_dir) / STORE_FILE, copy)
    except PerdureError as error:
        return _failed(error)
    print(f"{copy}: {size} bytes")
    return SOUND


def run_restore(copy: Path, flags: Mapping[str, str]) -> int:
    """Make an embedded store out of a copy; return the exit status."""
    try:
        store = Path(_settings(flags).base_dir) / STORE_FILE
        size = restore(copy, store)
    except PerdureError as error:
        return _failed(error)
    print(f"{store}: {size} bytes; start the suite with this base directory")
    return SOUND


async def _check(config: UpConfig) -> list[Finding]:
    path = None if config.fdb_cluster_file else Path(config.base_dir) / STORE_FILE
    if path is not None and not path.is_file():
        raise PerdureError(f"{path}: there is no embedded store; give --base-dir, or --fdb-cluster-file")
    fdb = fdb_options(config, tag="upkeep", is_background=True)
    store = open_store(path=str(path), fdb_cluster_file=config.fdb_cluster_file or None, root=config.root, fdb=fdb)
    try:
        return await check(store, Keyspace(config.root))
    finally:
        await store.close()


def _settings(flags: Mapping[str, str]) -> UpConfig:
    arguments = [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", value)]
    return read(UpConfig, arguments, section="up", environ=os.environ)


def _failed(error: PerdureError) -> int:
    print(f"perdure: {error.message}", file=sys.stderr)
    return FAILED
