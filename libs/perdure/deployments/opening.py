"""From the settings of a process to the client by which it reaches deployments of every kind."""

import asyncio
import os
import ssl
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger

from perdure.base.clock import Clock
from perdure.base.errors import ConfigurationError
from perdure.deployments.client import HttpDeploymentClient
from perdure.deployments.connecting import tls_context
from perdure.deployments.identity import RequestIdentity, load_identity
from perdure.deployments.interface import DeploymentClient, Exchange, HeaderList, Receiver
from perdure.deployments.settings import ClientSettings
from perdure.model.deployment import Deployment
from perdure.process.config import CommonConfig

if TYPE_CHECKING:
    from perdure.deployments.aws_lambda.client import LambdaClient
    from perdure.deployments.google.client import GoogleClient

log: FilteringBoundLogger = structlog.get_logger("perdure.deployments")


class EveryDeploymentClient:
    """Implements `interface.DeploymentClient`: hands each deployment to the client of its kind.

    Those of Lambda functions and of deployments that want tokens of Google are imported and made with the first of them.
    """

    def __init__(self, settings: ClientSettings, clock: Clock, identity: RequestIdentity | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._identity = identity
        self.http = HttpDeploymentClient(settings, identity)
        """All but the connections to Lambda."""
        self._lambda: LambdaClient | None = None
        self._google: GoogleClient | None = None

    def open(self, deployment: Deployment, method: str, path: str, headers: HeaderList, receiver: Receiver) -> Exchange:
        """Start a request; never blocks, never raises."""
        return self._client_of(deployment).open(deployment, method, path, headers, receiver)

    async def close(self) -> None:
        """Cut all connections; whatever is in flight fails."""
        clients: list[DeploymentClient | None] = [self._google, self.http, self._lambda]
        await asyncio.gather(*(client.close() for client in clients if client is not None))

    def _client_of(self, deployment: Deployment) -> DeploymentClient:
        if deployment.lambda_arn is not None:
            self._lambda = self._lambda or self._make_lambda()
            return self._lambda
        if deployment.google_id_token is not None:
            self._google = self._google or self._make_google()
            return self._google
        return self.http

    def _make_lambda(self) -> "LambdaClient":
        from perdure.deployments.aws_lambda.client import LambdaClient

        return LambdaClient(self._settings, self._identity)

    def _make_google(self) -> "GoogleClient":
        from perdure.deployments.google.client import GoogleClient

        return GoogleClient(self.http, self._clock)


def open_client(config: CommonConfig, clock: Clock) -> EveryDeploymentClient:
    """Return the client of the running event loop; close it at the end.

    Raises:
        ConfigurationError: A key or certificate file is not what it must be.
    """
    key_file = config.request_identity_private_key_pem_file
    identity = load_identity(key_file, clock, expiration_ms=config.request_identity_expiration) if key_file else None
    if identity is not None:
        log.info("request_identity", public_key=identity.key_id)
    if config.deployment_ca_file:
        _check_authorities(config.deployment_ca_file)
    settings = ClientSettings(
        ca_file=config.deployment_ca_file or None,
        assume_role_external_id=config.assume_role_external_id or os.environ.get("AWS_EXTERNAL_ID", ""),
        request_compression_bytes_min=config.request_compression_threshold,
        additional_headers=config.additional_request_headers,
    )
    return EveryDeploymentClient(settings, clock, identity)


def _check_authorities(path: str) -> None:
    try:
        tls_context("h2", path)
    except ssl.SSLError as error:
        raise ConfigurationError(f"deployment_ca_file {path}: no certificate that can be read: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"deployment_ca_file {path}: {error.strerror}") from None
