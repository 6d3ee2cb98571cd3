"""Request identity, judged by the SDK that verifies it."""

from pathlib import Path

import pytest
import restate

from perdure.base.clock import SystemClock
from perdure.deployments.client import HttpDeploymentClient
from perdure.deployments.discovery import discover
from perdure.deployments.errors import DeploymentUnreachable
from perdure.deployments.identity import RequestIdentity, load_identity
from perdure.deployments.interface import HeaderList
from tests.contract.deployments.support import Recorder, a_deployment, attempt_at, hypercorn_server, run

KEY = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIPe++4ZTPQDF81otpoU/mOGHC2vOAVp9WbiCblvn3nXO
-----END PRIVATE KEY-----
"""
KEY_ID = "publickeyv1_AfQwmwfgEZhrWpvv8N52SHpRtZqGGaFr4AZN6qtYWSiY"
OTHER_KEY_ID = "publickeyv1_ChjENKeMvCtRnqG2mrBK1HmPKufgFUc98K8B3ononQvp"


@pytest.fixture
def identity(tmp_path: Path) -> RequestIdentity:
    path = tmp_path / "key.pem"
    path.write_text(KEY)
    return load_identity(str(path), SystemClock())


class ClockOfYesterday:
    def now_ms(self) -> int:
        return SystemClock().now_ms() - 86_400_000


def an_app(*keys: str) -> object:
    counter = restate.VirtualObject("Counter")

    @counter.handler()
    async def add(ctx: restate.ObjectContext, amount: int) -> int:
        return amount + 1

    return restate.app([counter], identity_keys=list(keys))


async def discovered(identity: RequestIdentity | None, *keys: str, path: str = "") -> list[str]:
    """Return the names that an endpoint with these keys tells a client with this identity."""
    client = HttpDeploymentClient(identity=identity)
    try:
        async with hypercorn_server(an_app(*keys)) as port:
            found = await discover(client, f"http://127.0.0.1:{port}{path}")
            return [service.name for service in found.services]
    finally:
        await client.close()


async def invoked(identity: RequestIdentity | None, headers: HeaderList, *keys: str) -> Recorder:
    client = HttpDeploymentClient(identity=identity)
    try:
        async with hypercorn_server(an_app(*keys)) as port:
            recorder = attempt_at(client, a_deployment(port), "/invoke/Counter/add", b"41", key="käse", headers=headers)
            return await recorder.over()
    finally:
        await client.close()


def test_discovery_with_the_right_key_is_answered(identity: RequestIdentity) -> None:
    assert run(discovered(identity, KEY_ID)) == ["Counter"]


def test_discovery_below_a_path_is_answered(identity: RequestIdentity) -> None:
    assert run(discovered(identity, KEY_ID, path="/a/b")) == ["Counter"]


def test_one_of_several_keys_is_enough(identity: RequestIdentity) -> None:
    assert run(discovered(identity, OTHER_KEY_ID, KEY_ID)) == ["Counter"]


def test_discovery_without_a_token_is_refused() -> None:
    with pytest.raises(DeploymentUnreachable, match="status code '401'"):
        run(discovered(None, KEY_ID))


def test_discovery_with_another_key_is_refused(identity: RequestIdentity) -> None:
    with pytest.raises(DeploymentUnreachable, match="status code '401'"):
        run(discovered(identity, OTHER_KEY_ID))


def test_a_token_of_yesterday_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(KEY)
    with pytest.raises(DeploymentUnreachable, match="status code '401'"):
        run(discovered(load_identity(str(path), ClockOfYesterday()), KEY_ID))


def test_an_invocation_with_the_right_key_runs(identity: RequestIdentity) -> None:
    recorder = run(invoked(identity, [], KEY_ID))
    assert recorder.status == 200
    assert b"42" in recorder.body


def test_an_invocation_without_a_token_is_refused() -> None:
    assert run(invoked(None, [], KEY_ID)).status == 401


def test_an_endpoint_without_keys_does_not_mind_a_token(identity: RequestIdentity) -> None:
    assert run(invoked(identity, [])).status == 200
