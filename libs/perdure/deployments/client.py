"""The deployment client over real sockets: a pool per scheme, authority and HTTP version."""

import asyncio
import ssl
from typing import Final

import msgspec

from perdure.deployments.address import Address, parse_address
from perdure.deployments.connecting import tls_context
from perdure.deployments.headers import encode_headers, key_in
from perdure.deployments.http1 import Http1Exchange
from perdure.deployments.http1_pool import Http1Pool
from perdure.deployments.http2_exchange import Http2Exchange
from perdure.deployments.http2_pool import Http2Pool
from perdure.deployments.identity import RequestIdentity
from perdure.deployments.interface import Exchange, ExchangeFailure, FailureKind, HeaderList, Receiver
from perdure.deployments.settings import ClientSettings
from perdure.model.deployment import Deployment

HTTP_1_1: Final = "HTTP/1.1"
HTTP_2: Final = "HTTP/2.0"


class _Route(msgspec.Struct, frozen=True):
    """Where the requests of one deployment URL go."""

    address: Address
    pool: Http1Pool | Http2Pool
    authority: bytes


class HttpDeploymentClient:
    """Implements `interface.DeploymentClient` with connections of the running event loop; `identity` signs all requests."""

    def __init__(self, settings: ClientSettings | None = None, identity: RequestIdentity | None = None) -> None:
        self._settings = settings or ClientSettings()
        self._identity = identity
        self._pools: dict[tuple[str, str], Http1Pool | Http2Pool] = {}
        self._routes: dict[tuple[str, str], _Route] = {}

    def open(self, deployment: Deployment, method: str, path: str, headers: HeaderList, receiver: Receiver) -> Exchange:
        """Start a request to `deployment.url` + `path`; connects in the background, never blocks, never raises.

        `headers` are the protocol's; additional headers of the deployment and of the server are added here and win.
        """
        route = self._routes.get((deployment.url, deployment.http_version))
        if route is None:
            try:
                route = self._make_route(deployment)
            except (ValueError, OSError) as error:
                return _Refused(receiver, f"{deployment.url} cannot be reached: {error}")
        signature = () if self._identity is None else self._identity.headers(path, key_in(headers))
        additional = deployment.additional_headers | self._settings.additional_headers
        encoded = encode_headers(route.authority, headers, additional, signature)
        target = route.address.target(path).encode()
        pool = route.pool
        if isinstance(pool, Http2Pool):
            exchange = Http2Exchange(pool, method.encode(), target, encoded, receiver)
            pool.open(exchange)
            return exchange
        exchange = Http1Exchange(pool, method.encode(), target, encoded, receiver)
        pool.open(exchange)
        return exchange

    @property
    def connection_count(self) -> int:
        """Connections that are open."""
        return sum(pool.connection_count for pool in self._pools.values())

    @property
    def waiting_count(self) -> int:
        """Requests that wait for a connection."""
        return sum(pool.waiting_count for pool in self._pools.values())

    async def close(self) -> None:
        """Cut all connections; whatever is in flight fails."""
        pools = list(self._pools.values())
        self._pools.clear()
        self._routes.clear()
        await asyncio.gather(*(pool.close() for pool in pools))

    def _make_route(self, deployment: Deployment) -> _Route:
        address = parse_address(deployment.url)
        key = (str(address), deployment.http_version)
        pool = self._pools.get(key)
        if pool is None:
            kind, alpn = (Http1Pool, "http/1.1") if deployment.http_version == HTTP_1_1 else (Http2Pool, "h2")
            context: ssl.SSLContext | None = tls_context(alpn, self._settings.ca_file) if address.is_tls else None
            pool = self._pools[key] = kind(address, self._settings, context)
        route = _Route(address, pool, address.authority.encode())
        self._routes[deployment.url, deployment.http_version] = route
        return route


class _Refused:
    """An exchange that cannot begin: it fails on the next turn of the loop."""

    def __init__(self, receiver: Receiver, message: str) -> None:
        self._receiver = receiver
        self._handle = asyncio.get_running_loop().call_soon(receiver.on_failure, ExchangeFailure(FailureKind.CONNECT, message))

    def send(self, data: bytes) -> None: ...

    def end(self) -> None: ...

    def abort(self) -> None:
        self._handle.cancel()

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
