"""Tokens by google-auth's real code path, from a local server that signs nothing."""

import base64
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from perdure.base.clock import SystemClock
from perdure.deployments.client import HttpDeploymentClient
from perdure.deployments.google.client import GoogleClient
from perdure.deployments.interface import FailureKind
from perdure.model.deployment import GoogleIdToken
from tests.contract.deployments.support import Recorder, a_client, a_deployment, hypercorn_server, run

IMPERSONATED = "caller@project.iam.gserviceaccount.com"


def a_token(**claims: Any) -> str:
    parts = ({"alg": "RS256", "typ": "JWT"}, {"iat": int(time.time()), "exp": int(time.time()) + 3_600, **claims})
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts), "sig"])


def claims_of(token: str) -> dict[str, Any]:
    middle = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


async def exchange_assertion(request: Request) -> JSONResponse:
    """What Google's token endpoint does: for an ID token the assertion names the audience, for an access token a scope."""
    asked = claims_of(parse_qs((await request.body()).decode())["assertion"][0])
    if "target_audience" in asked:
        return JSONResponse({"id_token": a_token(aud=asked["target_audience"], email=asked["iss"])})
    return JSONResponse({"access_token": "an-access-token", "expires_in": 3_600, "token_type": "Bearer"})


async def generate(request: Request) -> JSONResponse:
    assert request.headers["authorization"] == "Bearer an-access-token"
    return JSONResponse({"token": a_token(aud=(await request.json())["audience"], email=request.path_params["account"])})


async def show_token(request: Request) -> JSONResponse:
    return JSONResponse(claims_of(request.headers["x-serverless-authorization"].removeprefix("Bearer ")))


APP = Starlette(
    routes=[
        Route("/token", exchange_assertion, methods=["POST"]),
        Route("/generate/{account}", generate, methods=["POST"]),
        Route("/invoke/Greeter/greet", show_token, methods=["POST"]),
    ]
)


def credentials(directory: Path, port: int) -> str:
    key = rsa.generate_private_key(65_537, 2_048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    account = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "1",
        "private_key": key.decode(),
        "client_email": "own@project.iam.gserviceaccount.com",
        "token_uri": f"http://127.0.0.1:{port}/token",
    }
    path = directory / "account.json"
    path.write_text(json.dumps(account))
    return str(path)


async def ask(http: HttpDeploymentClient, port: int, wanted: GoogleIdToken) -> Recorder:
    client, recorder = GoogleClient(http, SystemClock()), Recorder()
    try:
        client.open(a_deployment(port, google_id_token=wanted), "POST", "/invoke/Greeter/greet", [], recorder).end()
        return await recorder.over()
    finally:
        await client.close()


@pytest.mark.parametrize(("account", "email"), [(None, "own@project.iam.gserviceaccount.com"), (IMPERSONATED, IMPERSONATED)])
def test_a_request_carries_the_token_of_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: str | None, email: str
) -> None:
    async def test() -> None:
        async with hypercorn_server(APP) as port, a_client() as http:
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", credentials(tmp_path, port))
            monkeypatch.setattr("google.auth.iam._IAM_IDTOKEN_ENDPOINT", f"http://127.0.0.1:{port}/generate/{{}}")
            recorder = await ask(http, port, GoogleIdToken("https://greeter", account))
            assert recorder.failure is None
            claims = json.loads(recorder.body)
            assert (claims["aud"], claims["email"]) == ("https://greeter", email)

    run(test())


def test_without_credentials_the_failure_says_what_was_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
        async with a_client() as http:
            failure = await (await ask(http, 1, GoogleIdToken("https://greeter"))).failed()
        assert failure.kind is FailureKind.CONNECT
        assert "the audience 'https://greeter'" in failure.message

    run(test())
