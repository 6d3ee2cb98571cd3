"""Chooses and opens the store that the configuration asks for."""

from typing import TYPE_CHECKING

from perdure.base.errors import StoreError
from perdure.store.interface import Store

if TYPE_CHECKING:
    from perdure.store.fdb.options import FdbOptions


def open_store(*, path: str | None, fdb_cluster_file: str | None, root: str, fdb: "FdbOptions | None" = None) -> Store:
    """Open FoundationDB where a cluster file is given, else the embedded store. Blocks shortly.

    Args:
        path: File of the embedded store; made if it is missing.
        fdb_cluster_file: Cluster file of FoundationDB; wins over `path`.
        root: Root of all keys; names this cluster in FoundationDB's client traces.
        fdb: How this process uses FoundationDB.

    Raises:
        ConfigurationError: The cluster file or FoundationDB's native client is missing.
        StoreError: The store cannot be opened, or neither place is given.
    """
    if fdb_cluster_file:
        from perdure.store.fdb.opening import open_fdb

        return open_fdb(fdb_cluster_file, trace_group=root, options=fdb)
    if path:
        from perdure.store.embedded.store import open_embedded

        return open_embedded(path)
    raise StoreError("no store is configured: give the path of the embedded store or the cluster file of FoundationDB")
