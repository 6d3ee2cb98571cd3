"""An SDK in a Lambda function, and functions that say what a test wants, behind a local AWS. Needs the fixture `aws_environment`."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import restate

from perdure.base.clock import SystemClock
from perdure.deployments.identity import RequestIdentity
from perdure.deployments.manifest import MEDIA_TYPES
from perdure.deployments.opening import EveryDeploymentClient
from perdure.deployments.settings import ClientSettings
from perdure.model.deployment import Deployment, ProtocolMode
from tests.contract.deployments.aws import ARN, Aws, Function, Refusal, sdk_function
from tests.contract.deployments.support import Recorder, attempt_at, hypercorn_server

MANIFEST = {"protocolMode": "REQUEST_RESPONSE", "minProtocolVersion": 5, "maxProtocolVersion": 7, "services": []}


def an_app(*identity_keys: str) -> Any:
    counter = restate.VirtualObject("Counter")

    @counter.handler()
    async def add(ctx: restate.ObjectContext, amount: int) -> int:
        return amount + 1

    @counter.handler()
    async def echo(ctx: restate.ObjectContext, text: str) -> str:
        return text

    return restate.app([counter], identity_keys=list(identity_keys))


def a_function(**fields: Any) -> Deployment:
    return Deployment(
        id="dp_1",
        url=ARN,
        protocol_mode=ProtocolMode.REQUEST_RESPONSE,
        http_version="HTTP/1.1",
        protocol_version_min=5,
        protocol_version_max=7,
        created_at_ms=0,
        lambda_arn=ARN,
        **fields,
    )


class Place:
    """A local AWS and a client that reaches it."""

    def __init__(self, aws: Aws, client: EveryDeploymentClient, port: int) -> None:
        self.aws = aws
        self.client = client
        self.port = port

    def attempt(self, argument: bytes = b"41", *, handler: str = "add", **fields: Any) -> Recorder:
        return attempt_at(self.client, a_function(**fields), f"/invoke/Counter/{handler}", argument, key="käse")


@contextlib.asynccontextmanager
async def a_place(function: Function, *, identity: RequestIdentity | None = None, **settings: Any) -> AsyncIterator[Place]:
    aws = Aws(function)
    async with hypercorn_server(aws) as port:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{port}")
            environment.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{port}")
            client = EveryDeploymentClient(ClientSettings(**settings), SystemClock(), identity)
            try:
                yield Place(aws, client, port)
            finally:
                await client.close()


@contextlib.asynccontextmanager
async def an_sdk(*identity_keys: str, **settings: Any) -> AsyncIterator[Place]:
    async with sdk_function(lambda: an_app(*identity_keys)) as function, a_place(function, **settings) as place:
        yield place


def answering(*answers: bytes | Refusal) -> Function:
    """A function that gives `answers` in turn, and the last one for ever."""
    left = list(answers)

    async def function(event: dict[str, Any]) -> bytes | Refusal:
        return left.pop(0) if len(left) > 1 else left[0]

    return function


def a_manifest(**members: Any) -> bytes:
    headers = {"content-type": MEDIA_TYPES[3]}
    return json.dumps({"statusCode": 200, "headers": headers, "body": json.dumps({**MANIFEST, **members})}).encode()
