"""What every endpoint of admin works with, and the rule that a response shows what the store holds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec
from starlette.requests import Request

from perdure.base.clock import Clock, Random
from perdure.base.ids import format_resource_id, ulid
from perdure.bus.interface import Bus
from perdure.bus.messages import VERSION, SchemaChanged, encode
from perdure.bus.subjects import Subjects
from perdure.deployments.manifest import Discovered
from perdure.model.deployment import GoogleIdToken
from perdure.query.wire import Parameter
from perdure.query.workers import QueryWorkers
from perdure.registry.cache import SchemaCache
from perdure.registry.options import ServerDefaults
from perdure.registry.schema import Schema
from perdure.registry.subscriptions import StaticClusters
from perdure.store.interface import Store, Transaction
from perdure.store.keyspace import Keyspace
from services.admin.errors import RoutingFailed
from services.admin.owner_client import OwnerClient

T = TypeVar("T")

SERVER_VERSION = "1.7.12"
"""The version that clients take this server for: they choose what they ask by it."""


class Discover(Protocol):
    """Asks an endpoint for its manifest: that at a URL, or a Lambda function by its ARN.

    Raises:
        PerdureError: With a code from META0003 on: not reachable, or not an endpoint.
    """

    async def __call__(
        self,
        url: str,
        *,
        additional_headers: Mapping[str, str],
        use_http_11: bool,
        assume_role_arn: str | None = None,
        google_id_token: GoogleIdToken | None = None,
    ) -> Discovered: ...


TOLD_S_MAX: Final = 1.0
"""How long a change waits for processes that do not say that they know of it: they may be gone, and poll if they are not."""


class Rows(Protocol):
    """Runs a statement and returns all of its rows; columns that are null are left out of a row.

    Raises:
        PerdureError: It failed.
    """

    async def __call__(self, sql: str, parameters: Sequence[Parameter]) -> list[dict[str, Any]]: ...


async def _no_rows(sql: str, parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    raise RoutingFailed("Query service not available")


class AdminContext(msgspec.Struct, frozen=True, kw_only=True):
    """What is handed in."""

    store: Store
    keyspace: Keyspace
    bus: Bus
    subjects: Subjects
    cache: SchemaCache
    discover: Discover
    clock: Clock
    random: Random
    owners: OwnerClient
    partitions: int
    defaults: ServerDefaults = ServerDefaults()
    queries: QueryWorkers | None = None
    """Run SQL; None where nothing does."""
    rows: Rows = _no_rows
    ingress_url: Callable[[], str | None] = lambda: None
    """Tells where the ingress is, with a trailing slash, for the web page and the command line."""

    clusters: StaticClusters = StaticClusters()
    """Kafka and NATS clusters of the configuration."""
    followers: Callable[[], int] = lambda: 1
    """Tells how many living processes follow the schema, this one included."""
    subscription_failures: Callable[[], Mapping[str, str]] = dict
    """Tells subscription id -> why it does not read just now, as the invokers last said."""

    async def schema(self) -> Schema:
        """Return the schema as the store has it now, so that what one admin changed shows at every other."""
        return await self.cache.refresh()

    async def change(self, fn: Callable[[Transaction], T], version_of: Callable[[T], int]) -> T:
        """Commit a change of metadata, tell everyone the new version, and return when they know, or a second later without some of them."""
        result = await self.store.transact(fn)
        await self.cache.refresh()
        message = encode(SchemaChanged(VERSION, version_of(result)))
        await self.bus.gather(self.subjects.schema, message, timeout_s=TOLD_S_MAX, replies_max=max(1, self.followers()))
        return result

    def new_deployment_id(self) -> str:
        """Return a fresh id."""
        return format_resource_id("dp", self._new_ulid())

    def new_subscription_id(self) -> str:
        """Return a fresh id."""
        return format_resource_id("sub", self._new_ulid())

    def _new_ulid(self) -> bytes:
        return ulid(self.clock.now_ms(), self.random.bytes(10))


def context_of(request: Request) -> AdminContext:
    """Return what the endpoint of this request works with."""
    return request.app.state.context
