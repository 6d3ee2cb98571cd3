"""Lambda functions that fail, and exchanges that are given up, paused or cut."""

import asyncio
from typing import Any

import pytest

from perdure.deployments.discovery import discover
from perdure.deployments.errors import BadDiscoveryResponse, BidirectionalUnsupported, DeploymentUnreachable
from perdure.deployments.interface import FailureKind
from perdure.deployments.manifest import MEDIA_TYPES
from tests.contract.deployments.aws import ARN, Function, Refusal
from tests.contract.deployments.functions import a_function, a_manifest, a_place, an_sdk, answering
from tests.contract.deployments.support import Recorder, run

pytestmark = pytest.mark.usefixtures("aws_environment")

FUNCTION_ERROR = Refusal(200, {"x-amz-function-error": "Unhandled"}, b'{"errorMessage":"out of memory"}')
THROTTLED = Refusal(429, {"x-amzn-errortype": "TooManyRequestsException"}, b'{"Reason":"ConcurrentInvocationLimitExceeded"}')
MISSING = Refusal(404, {"x-amzn-errortype": "ResourceNotFoundException"}, b'{"Message":"Function not found"}')


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (FUNCTION_ERROR, ["Unhandled", "out of memory"]),
        (MISSING, ["404", "ResourceNotFoundException", "Function not found"]),
        (b"[]", ["cannot be read"]),
        (b'{"statusCode": 200, "isBase64Encoded": true, "body": "!"}', ["no base64"]),
    ],
)
def test_discovery_gives_up_at_once_on_what_will_not_pass(answer: bytes | Refusal, words: list[str]) -> None:
    async def test() -> None:
        async with a_place(answering(answer)) as place:
            with pytest.raises(DeploymentUnreachable) as raised:
                await discover(place.client, ARN)
            assert all(word in raised.value.message for word in [ARN, *words])
            assert len(place.aws.calls) == 1

    run(test())


@pytest.mark.parametrize("answer", [THROTTLED, Refusal(503, {}, b""), b""])
def test_discovery_repeats_what_may_pass(answer: bytes | Refusal) -> None:
    async def test() -> None:
        async with a_place(answering(answer, a_manifest())) as place:
            assert (await discover(place.client, ARN)).services == []
            assert len(place.aws.calls) == 2

    run(test())


@pytest.mark.parametrize(
    ("answer", "words"),
    [(FUNCTION_ERROR, "out of memory"), (THROTTLED, "TooManyRequestsException"), (b"", "neither a payload nor an error"), (b"x", "'x'")],
)
def test_an_attempt_fails_with_what_was_said(answer: bytes | Refusal, words: str) -> None:
    async def test() -> None:
        async with a_place(answering(answer)) as place:
            failure = await place.attempt().failed()
            assert failure.kind is FailureKind.FUNCTION
            assert ARN in failure.message
            assert words in failure.message

    run(test())


def test_the_status_of_the_answer_is_the_status_of_the_exchange() -> None:
    async def test() -> None:
        async with a_place(answering(b'{"statusCode": 503, "headers": {"Retry-After": "7"}, "body": "later"}')) as place:
            recorder = await place.attempt().over()
            assert (recorder.status, recorder.headers, bytes(recorder.body)) == (503, [("retry-after", "7")], b"later")

    run(test())


def test_a_function_cannot_stream() -> None:
    async def test() -> None:
        async with a_place(answering(a_manifest(protocolMode="BIDI_STREAM"))) as place:
            with pytest.raises(BidirectionalUnsupported, match="over Lambda"):
                await discover(place.client, ARN)

    run(test())


def test_a_function_that_is_no_endpoint_is_told_apart() -> None:
    async def test() -> None:
        async with a_place(answering(b'{"statusCode": 200, "body": "hello"}')) as place:
            with pytest.raises(BadDiscoveryResponse, match="content type"):
                await discover(place.client, ARN)

    run(test())


def test_an_aws_that_is_not_there_is_a_connect_failure() -> None:
    async def test() -> None:
        async with a_place(answering(b"")) as place:
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:1")
                failure = await place.attempt().failed()
        assert failure.kind is FailureKind.CONNECT
        assert failure.may_pass

    run(test())


def hanging(released: asyncio.Event) -> Function:
    """A function that answers once `released` is set."""

    async def function(event: dict[str, Any]) -> bytes:
        await released.wait()
        return a_manifest()

    return function


def test_after_an_abort_nothing_follows_and_the_next_call_works() -> None:
    async def test() -> None:
        async with an_sdk() as place:
            recorder = Recorder()
            exchange = place.client.open(a_function(), "POST", "/invoke/Counter/add", [], recorder)
            exchange.end()
            exchange.abort()
            assert (await place.attempt().over()).status == 200
            assert (recorder.status, recorder.is_over) == (None, False)

    run(test())


def test_an_exchange_that_runs_fails_when_the_client_closes() -> None:
    async def test() -> None:
        released = asyncio.Event()
        async with a_place(hanging(released)) as place:
            recorder = place.attempt()
            await place.aws.called.wait()
            await place.client.close()
            assert recorder.failure is not None
            assert recorder.failure.kind is FailureKind.RESET
            released.set()

    run(test())


def test_a_paused_exchange_gets_no_data_until_it_reads_again() -> None:
    async def test() -> None:
        async with an_sdk() as place:
            recorder = Recorder()
            exchange = place.client.open(a_function(), "GET", "/discover", [("accept", MEDIA_TYPES[3])], recorder)
            exchange.pause_reading()
            exchange.end()
            await recorder.until(lambda recorder: recorder.status is not None)
            assert (await place.attempt().over()).status == 200
            assert not recorder.body
            exchange.resume_reading()
            await recorder.over()
            assert b"Counter" in recorder.body

    run(test())
