"""Opens a cluster with the native client."""

import functools
from pathlib import Path

from perdure.base.errors import ConfigurationError, StoreError
from perdure.store.fdb.binding import Binding, load
from perdure.store.fdb.options import FdbOptions, configure_network
from perdure.store.fdb.store import FdbStore


def open_fdb(cluster_file: str, *, trace_group: str, options: FdbOptions | None = None) -> FdbStore:
    """Open the cluster that `cluster_file` describes. Does not wait until it answers.

    Args:
        cluster_file: Where the cluster is.
        trace_group: Names this suite in the client's traces.
        options: How this process uses the cluster; those of its network are the first caller's.

    Raises:
        ConfigurationError: The file or the native client is missing.
        StoreError: An option is wrong.
    """
    options = options or FdbOptions()
    if not Path(cluster_file).is_file():
        raise ConfigurationError(f"the cluster file {cluster_file} does not exist; correct fdb_cluster_file")
    binding = load()
    try:
        _configure_once(binding, options, trace_group)
        return FdbStore(binding, binding.open(cluster_file), options)
    except binding.FDBError as error:
        raise StoreError(f"the cluster of {cluster_file} cannot be opened: {error}") from error


@functools.cache
def _configure_once(binding: Binding, options: FdbOptions, trace_group: str) -> None:
    configure_network(binding.options, options, trace_group=trace_group)
