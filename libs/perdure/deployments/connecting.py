"""Open the socket of a deployment: TCP, TLS with ALPN, and the time that all of it may take."""

import abc
import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar

from perdure.deployments.address import Address
from perdure.deployments.interface import ExchangeFailure, FailureKind


class DeploymentConnection(asyncio.Protocol, abc.ABC):
    """A protocol object that says when it is usable (`ready`) and when its socket is gone (`lost`)."""

    ready: asyncio.Future[None]
    lost: asyncio.Future[None]

    @abc.abstractmethod
    def shut(self, failure: ExchangeFailure | None) -> None:
        """Close at once; exchanges in flight fail with `failure`."""


C = TypeVar("C", bound=DeploymentConnection)


class ConnectError(Exception):
    """No usable connection came about. Stays inside this package; `failure` is what exchanges are told."""

    def __init__(self, failure: ExchangeFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def tls_context(alpn: str, ca_file: str | None) -> ssl.SSLContext:
    """Return a verifying client context that offers `alpn` only. `ca_file` replaces the system's authorities."""
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols([alpn])
    return context


async def connect(address: Address, factory: Callable[[], C], *, context: ssl.SSLContext | None, timeout_ms: int) -> C:
    """Connect and return the protocol object once it is ready.

    Raises:
        ConnectError: It did not come to that within `timeout_ms`.
    """
    made: list[C] = []

    def remembered() -> C:
        made.append(factory())
        return made[-1]

    failure: ExchangeFailure
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            server_hostname = address.host if context is not None else None
            loop = asyncio.get_running_loop()
            await loop.create_connection(remembered, address.host, address.port, ssl=context, server_hostname=server_hostname)
            await made[-1].ready
            return made[-1]
    except ConnectError as error:
        failure = error.failure
    except TimeoutError:
        failure = ExchangeFailure(FailureKind.CONNECT, f"no usable connection to {address} within {timeout_ms} ms")
    except ssl.SSLError as error:
        failure = ExchangeFailure(FailureKind.TLS, f"TLS with {address} failed: {error}")
    except (OSError, UnicodeError) as error:
        failure = ExchangeFailure(FailureKind.CONNECT, f"cannot connect to {address}: {error}")
    for half_open in made:
        half_open.shut(failure)
    raise ConnectError(failure)
