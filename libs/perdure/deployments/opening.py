"""From the settings of a process to the client by which it reaches deployments."""

import ssl

from perdure.base.clock import Clock
from perdure.base.errors import ConfigurationError
from perdure.deployments.client import HttpDeploymentClient
from perdure.deployments.connecting import tls_context
from perdure.deployments.identity import load_identity
from perdure.deployments.settings import ClientSettings
from perdure.process.config import CommonConfig


def open_client(config: CommonConfig, clock: Clock) -> HttpDeploymentClient:
    """Return the client of the running event loop; close it at the end.

    Raises:
        ConfigurationError: A key or certificate file is not what it must be.
    """
    key_file = config.request_identity_private_key_pem_file
    identity = load_identity(key_file, clock) if key_file else None
    if config.deployment_ca_file:
        _check_authorities(config.deployment_ca_file)
    return HttpDeploymentClient(ClientSettings(ca_file=config.deployment_ca_file or None), identity)


def _check_authorities(path: str) -> None:
    try:
        tls_context("h2", path)
    except ssl.SSLError as error:
        raise ConfigurationError(f"deployment_ca_file {path}: no certificate that can be read: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"deployment_ca_file {path}: {error.strerror}") from None
