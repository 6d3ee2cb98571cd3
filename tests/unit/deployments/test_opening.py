"""Settings that are wrong are told when the client is opened, not at the first request."""

import asyncio
from pathlib import Path

import pytest

from perdure.base.clock import SystemClock
from perdure.base.errors import ConfigurationError
from perdure.deployments.opening import open_client
from perdure.process.config import CommonConfig


def test_a_client_opens_with_the_defaults() -> None:
    async def test() -> None:
        await open_client(CommonConfig(), SystemClock()).close()

    asyncio.run(test())


def test_certificates_that_are_none_are_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("nothing")
    with pytest.raises(ConfigurationError, match=r"deployment_ca_file .*ca.pem: no certificate"):
        open_client(CommonConfig(deployment_ca_file=str(path)), SystemClock())


def test_a_missing_file_with_certificates_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"deployment_ca_file .*none.pem: No such file"):
        open_client(CommonConfig(deployment_ca_file=str(tmp_path / "none.pem")), SystemClock())


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"request_identity_private_key_pem_file .*none.pem"):
        open_client(CommonConfig(request_identity_private_key_pem_file=str(tmp_path / "none.pem")), SystemClock())
