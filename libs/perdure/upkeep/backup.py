"""Copies of an embedded store, taken while it is in use, and put back where no store is. FoundationDB has its own `fdbbackup`.

A copy is one SQLite file without a log beside it. It holds one moment: every commit up to it, and none after it.
"""

import os
from pathlib import Path
from typing import Final

import apsw

from perdure.base.errors import StoreError
from perdure.store.embedded.connection import cursor_of

_PAGES_PER_STEP: Final = 4_096
"""16 MiB: the copy goes on where it was even if somebody writes meanwhile, since it reads within one transaction."""


def back_up(store_path: Path, copy_path: Path) -> int:
    """Copy the store of a suite that runs or not; return the size of the copy in bytes. What is there already is not overwritten.

    Raises:
        StoreError: There is no store, the copy exists, or the disk is full; no copy is left behind.
    """
    if not store_path.is_file():
        raise StoreError(f"{store_path}: there is no embedded store; give the base directory of the suite")
    return _copy(store_path, copy_path)


def restore(copy_path: Path, store_path: Path) -> int:
    """Make a store out of a copy, in a base directory that has none; return its size in bytes.

    Raises:
        StoreError: There is no such copy, it is not one, or a store is there already; nothing is changed.
    """
    if not copy_path.is_file():
        raise StoreError(f"{copy_path}: there is no such file")
    store_path.parent.mkdir(parents=True, exist_ok=True)
    return _copy(copy_path, store_path)


def _copy(source_path: Path, target_path: Path) -> int:
    if target_path.exists():
        raise StoreError(f"{target_path}: it exists; move it away, or choose another place")
    unfinished = target_path.with_name(f"{target_path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        _copy_pages(source_path, unfinished)
        unfinished.replace(target_path)
        _sync_directory(target_path.parent)
    except (apsw.Error, OSError) as error:
        raise StoreError(f"{target_path}: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return target_path.stat().st_size


def _copy_pages(source_path: Path, target_path: Path) -> None:
    source = apsw.Connection(str(source_path), flags=apsw.SQLITE_OPEN_READWRITE)
    target = apsw.Connection(str(target_path))
    try:
        _check_is_store(source, source_path)
        cursor = cursor_of(source)
        cursor.execute("begin")
        cursor.execute("select count(*) from stamp").fetchall()  # from here on, this connection sees one moment
        with target.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(_PAGES_PER_STEP)
        cursor.execute("commit")
        cursor_of(target).execute("pragma journal_mode = delete").fetchall()
    finally:
        target.close()
        source.close()


def _check_is_store(connection: apsw.Connection, path: Path) -> None:
    tables = {name for (name,) in cursor_of(connection).execute("select name from sqlite_master where type = 'table'")}
    if not {"kv", "stamp"} <= tables:
        raise StoreError(f"{path}: it is a database, but not a store of Perdure")


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
