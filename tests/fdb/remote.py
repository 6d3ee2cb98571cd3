"""The simulated cluster in another process: served over a socket, and the client that real processes of a server use in place of theirs.

A process uses it when `tests/fdb/client` is on its `PYTHONPATH`; its cluster file holds the path of the socket.
"""

import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, Final

from tests.fdb.binding import Binding, Database, Options
from tests.fdb.cluster import Cluster, Mutation, Pairs, Range
from tests.fdb.errors import FDBError

REACH_S_MAX: Final = 1.0
"""How long a client waits for a connection before it tries again."""
WATCH: Final = {socket.TCP_NODELAY: 1, socket.TCP_KEEPIDLE: 1, socket.TCP_KEEPINTVL: 1, socket.TCP_USER_TIMEOUT: 2_000}
"""A connection on which nothing has come back for two seconds is dead: the real client, too, asks its servers all the time."""
REPOSITORY: Final = Path(__file__).resolve().parents[2]


class ClusterServer:
    """Serves a cluster in memory to other processes.

    Args:
        cluster: What is served.
        directory: Where the cluster file goes, and the socket where there is no `host`.
        host: Address to listen on, for processes on other hosts.
    """

    def __init__(self, cluster: Cluster, directory: Path, *, host: str = "") -> None:
        self.cluster = cluster
        self.cluster_file = directory / "simulated.cluster"
        if host:
            self._listener = Listener((host, 0), "AF_INET", backlog=128)
            self.port = int(self._listener.address[1])
            self.cluster_file.write_text(f"{host}:{self.port}")
        else:
            self._listener = Listener(str(directory / "cluster.sock"), "AF_UNIX", backlog=128)
            self.cluster_file.write_text(str(self._listener.address))
        threading.Thread(target=self._accept, name="cluster", daemon=True).start()

    @property
    def env(self) -> dict[str, str]:
        """Variables of processes that are to use this cluster."""
        paths = [str(REPOSITORY / "tests" / "fdb" / "client"), str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
        return {"PERDURE_FDB_CLUSTER_FILE": str(self.cluster_file), "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def close(self) -> None:
        """Serve nobody who comes from now on."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), name="cluster-client", daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with suppress(EOFError, OSError), connection:
            while True:
                name, arguments = connection.recv()
                self.cluster.starts_waiting += not self.cluster.is_reachable.is_set()
                self.cluster.is_reachable.wait()
                try:
                    connection.send((getattr(self.cluster, name)(*arguments), None))
                except FDBError as error:
                    connection.send((None, (error.code, error.conflicts)))


class RemoteServers:
    """`Servers` in another process; each thread has a connection of its own."""

    def __init__(self, address: str) -> None:
        self.is_reachable = threading.Event()
        self.is_reachable.set()
        self._address = address
        self._local = threading.local()

    def read_version(self) -> int:
        return int(self._ask("read_version"))

    def get(self, key: bytes, version: int) -> bytes | None:
        value: bytes | None = self._ask("get", key, version)
        return value

    def get_range(self, begin: bytes, end: bytes, version: int, limit: int, reverse: bool) -> tuple[Pairs, bool]:
        pairs, has_more = self._ask("get_range", begin, end, version, limit, reverse)
        return pairs, has_more

    def commit(self, version: int, reads: Sequence[Range], mutations: Sequence[Mutation]) -> int:
        return int(self._ask("commit", version, reads, mutations))

    def _ask(self, name: str, *arguments: object) -> Any:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _connected(self._address)
        try:
            connection.send((name, arguments))
            value, failure = connection.recv()
        except (OSError, EOFError) as error:
            self._local.connection = None
            connection.close()
            raise ConnectionError(f"{self._address} does not answer") from error
        if failure is not None:
            raise FDBError(*failure)
        return value


def _connected(address: str) -> Connection:
    host, is_far, port = address.partition(":")
    if not is_far:
        return Client(address, "AF_UNIX")
    far = socket.create_connection((host, int(port)), REACH_S_MAX)
    far.settimeout(None)
    for option, value in WATCH.items():
        far.setsockopt(socket.IPPROTO_TCP, option, value)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return Connection(far.detach())


def install(module: Any) -> None:
    """Let the module `fdb` have the simulated client once an API version is chosen."""

    def open_cluster(cluster_file: str) -> Database:
        return Binding(RemoteServers(Path(cluster_file).read_text())).open(cluster_file)

    def choose(_version: int) -> None:
        module.FDBError, module.open, module.options = FDBError, open_cluster, Options({})

    module.api_version = choose
