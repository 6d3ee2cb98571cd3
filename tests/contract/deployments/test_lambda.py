"""Lambda functions: an SDK's real handler behind a local AWS that checks every signature."""

import asyncio
import importlib
import json
import sys
import types
from pathlib import Path

import pytest
import restate.aws_lambda
import zstandard

from perdure.base.clock import SystemClock
from perdure.deployments.discovery import discover
from perdure.deployments.errors import DeploymentUnreachable
from perdure.deployments.identity import load_identity
from perdure.deployments.interface import FailureKind
from perdure.deployments.manifest import MEDIA_TYPES
from perdure.model.deployment import ProtocolMode
from tests.contract.deployments.aws import ARN, OWN_KEY, REGION, ROLE, ROLE_KEY
from tests.contract.deployments.functions import an_sdk
from tests.contract.deployments.support import run
from tests.contract.deployments.test_identity import KEY, KEY_ID

pytestmark = pytest.mark.usefixtures("aws_environment")

BIG = 4 * 1024 * 1024


@pytest.fixture
def sdk_zstd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the SDK the compression that it takes from Python 3.14 or a package."""
    backports, module = types.ModuleType("backports"), types.ModuleType("backports.zstd")
    vars(module).update(compress=zstandard.compress, decompress=zstandard.decompress)
    vars(backports).update(zstd=module)
    monkeypatch.setitem(sys.modules, "backports", backports)
    monkeypatch.setitem(sys.modules, "backports.zstd", module)
    monkeypatch.setattr(restate.aws_lambda, "ZSTD_AVAILABLE", True)


def test_an_sdk_in_a_function_is_discovered() -> None:
    async def test() -> None:
        async with an_sdk() as place:
            found = await discover(place.client, ARN)
        assert [service.name for service in found.services] == ["Counter"]
        assert (found.protocol_mode, found.lambda_compression) == (ProtocolMode.REQUEST_RESPONSE, None)
        assert found.sdk_version is not None
        assert found.sdk_version.startswith("restate-sdk-python/")
        event = place.aws.calls[0].event
        assert event == {
            "path": "/discover",
            "httpMethod": "GET",
            "headers": {"accept": ", ".join(MEDIA_TYPES)},
            "body": "",
            "isBase64Encoded": True,
        }

    run(test())


def test_an_sdk_in_a_function_is_invoked() -> None:
    async def test() -> None:
        async with an_sdk() as place:
            recorder = await place.attempt(additional_headers={"X-Team": "a"}).over()
            assert (recorder.status, recorder.is_ended) == (200, True)
            assert ("content-type", "application/vnd.restate.invocation.v6") in recorder.headers
            assert b"42" in recorder.body
            event = place.aws.calls[0].event
            assert (event["httpMethod"], event["path"]) == ("POST", "/invoke/Counter/add")
            assert event["headers"]["x-team"] == "a"
            assert not {"host", "accept-encoding"} & event["headers"].keys()

    run(test())


def test_one_connection_serves_many_calls() -> None:
    async def test() -> None:
        async with an_sdk() as place:
            for number in range(5):
                assert str(number + 1).encode() in (await place.attempt(str(number).encode()).over()).body
            assert len(place.aws.calls) == 5

    run(test())


def test_a_call_is_what_the_library_of_aws_would_send() -> None:
    async def test() -> None:
        async with an_sdk() as place:
            await place.attempt().over()
            session = importlib.import_module("botocore.session").Session()
            theirs = session.create_client("lambda", region_name=REGION)
            payload = json.dumps(place.aws.calls[0].event).encode()
            answer = await asyncio.to_thread(theirs.invoke, FunctionName=ARN, Payload=payload)
            assert answer["StatusCode"] == 200
            answer["Payload"].close()
            theirs.close()
            ours, other = place.aws.calls
            assert (ours.raw_path, ours.event, ours.key) == (other.raw_path, other.event, other.key)

    run(test())


def test_a_role_is_assumed_once_with_the_external_id() -> None:
    async def test() -> None:
        async with an_sdk(assume_role_external_id="ours") as place:
            found = await discover(place.client, ARN, assume_role_arn=ROLE)
            assert len(found.services) == 1
            assert (await place.attempt(lambda_assume_role_arn=ROLE).over()).status == 200
            assert [call.key for call in place.aws.calls] == [ROLE_KEY, ROLE_KEY]
            (form,) = place.aws.assumptions
            assert (form["RoleArn"], form["ExternalId"]) == (ROLE, "ours")
            assert form["RoleSessionName"].startswith("restate-")
            assert (await place.attempt().over()).status == 200
            assert place.aws.calls[-1].key == OWN_KEY

    run(test())


def test_a_role_without_an_external_id_shows_none() -> None:
    async def test() -> None:
        async with an_sdk() as place:
            assert (await place.attempt(lambda_assume_role_arn=ROLE).over()).status == 200
            assert "ExternalId" not in place.aws.assumptions[0]

    run(test())


def test_a_role_that_is_refused_fails_the_attempt_and_says_so() -> None:
    async def test() -> None:
        async with an_sdk() as place:
            place.aws.role_is_refused = True
            failure = await place.attempt(lambda_assume_role_arn=ROLE).failed()
            assert failure.kind is FailureKind.FUNCTION
            assert ROLE in failure.message
            assert "not you" in failure.message
            place.aws.role_is_refused = False
            assert (await place.attempt(lambda_assume_role_arn=ROLE).over()).status == 200

    run(test())


def test_without_credentials_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    async def test() -> None:
        async with an_sdk() as place:
            assert "there are no AWS credentials" in (await place.attempt().failed()).message
            assert place.aws.calls == []

    run(test())


def test_a_wrong_secret_is_told_with_the_words_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    async def test() -> None:
        async with an_sdk() as place:
            with pytest.raises(DeploymentUnreachable, match=r"403, InvalidSignatureException: .*the signature does not match"):
                await discover(place.client, ARN)

    run(test())


def test_both_sides_compress_what_is_large(sdk_zstd: None) -> None:
    async def test() -> None:
        async with an_sdk(request_compression_bytes_min=BIG) as place:
            found = await discover(place.client, ARN)
            assert found.lambda_compression == "zstd"
            assert "accept-encoding" not in place.aws.calls[0].event["headers"]
            text = json.dumps("x" * BIG).encode()
            recorder = await place.attempt(text, handler="echo", lambda_compression="zstd").over()
            assert text in recorder.body
            assert "content-encoding" not in dict(recorder.headers)
            event = place.aws.calls[1].event
            assert (event["headers"]["accept-encoding"], event["headers"]["content-encoding"]) == ("zstd", "zstd")
            assert len(event["body"]) < BIG // 100

    run(test())


def test_what_is_small_is_not_compressed(sdk_zstd: None) -> None:
    async def test() -> None:
        async with an_sdk() as place:
            assert (await place.attempt(lambda_compression="zstd").over()).status == 200
            assert "content-encoding" not in place.aws.calls[0].event["headers"]

    run(test())


def test_a_function_that_wants_signed_requests_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(KEY)

    async def test() -> None:
        async with an_sdk(KEY_ID, identity=load_identity(str(path), SystemClock())) as place:
            assert len((await discover(place.client, ARN)).services) == 1
            assert (await place.attempt().over()).status == 200
        async with an_sdk(KEY_ID) as place:
            assert (await place.attempt().over()).status == 401

    run(test())


def test_nothing_of_aws_is_imported_for_http_deployments() -> None:
    code = (
        "import sys; import perdure.deployments.opening, perdure.deployments.discovery;"
        "print([name for name in sys.modules if name.startswith(('botocore', 'cryptography', 'zstandard', 'perdure.deployments.aws'))])"
    )

    async def test() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
        assert (await process.communicate())[0] == b"[]\n"

    run(test())
