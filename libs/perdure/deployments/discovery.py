"""Ask an endpoint what it serves, and find out on the way of which era it is.

Source: shared/spec/service-protocol.md, section 1; shared/spec/seed-era.md, 2.2 and section 11.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, NoReturn
from urllib.parse import urlsplit

import msgspec

from perdure.base.clock import Random, SystemRandom
from perdure.base.limits import MIB
from perdure.deployments.client import HTTP_1_1, HTTP_2
from perdure.deployments.collecting import Answer, Collector
from perdure.deployments.errors import BadDiscoveryResponse, DeploymentUnreachable, DiscoveryError, Http11Only
from perdure.deployments.interface import DeploymentClient, ExchangeFailure, FailureKind, HeaderList
from perdure.deployments.manifest import MEDIA_TYPES, Discovered, parse_manifest
from perdure.deployments.seed import MEDIA_TYPE as SEED_MEDIA_TYPE
from perdure.model.deployment import Deployment, GoogleIdToken, ProtocolMode

RETRIES_MAX: Final = 4
RETRY_DELAY_MS_FIRST: Final = 100
RETRY_DELAY_FACTOR: Final = 2
RETRY_JITTER: Final = 1 / 3
RETRIED_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
SEED_STATUSES: Final = frozenset({404, 405, 415})
"""What an endpoint of the seed era may answer to the way that is asked today: then it is asked in its own."""

SILENCE_MS_MAX: Final = 30_000
"""An endpoint that says nothing for so long is given up."""

MANIFEST_BYTES_MAX: Final = 16 * MIB
SHOWN_CHARACTERS_MAX: Final = 2_000

_OWN_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names that mean something else to a server in a container than to whoever registers."""


async def discover(
    client: DeploymentClient,
    url: str,
    *,
    additional_headers: Mapping[str, str] | None = None,
    use_http_11: bool = False,
    assume_role_arn: str | None = None,
    google_id_token: GoogleIdToken | None = None,
    random: Random | None = None,
    silence_ms_max: int = SILENCE_MS_MAX,
) -> Discovered:
    """Return what the endpoint at `url` serves. Retries what may pass; takes up to two seconds before it gives up on a dead one.

    Over `http`, HTTP/2 is spoken with prior knowledge unless `use_http_11`; over `https` the endpoint chooses. `url` may also be the ARN
    of a Lambda function, which is called in the role `assume_role_arn`, if that is given. `google_id_token` says which
    token to show, if any.

    Raises:
        DiscoveryError: One of its kinds, all with a sentence and a hint.
    """
    random = random or SystemRandom()
    target = _target(url, dict(additional_headers or {}), assume_role_arn, google_id_token, use_http_11=use_http_11)
    delay_ms = RETRY_DELAY_MS_FIRST
    for attempt in range(RETRIES_MAX + 1):
        try:
            return await _discover_once(client, target, use_http_11=use_http_11, silence_ms_max=silence_ms_max)
        except _MayPass as error:
            if attempt == RETRIES_MAX:
                raise error.error from None
        await asyncio.sleep(delay_ms * (1 + random.fraction() * RETRY_JITTER) / 1000)
        delay_ms *= RETRY_DELAY_FACTOR
    raise AssertionError("the last attempt returns or raises")


_Question = tuple[str, HeaderList]
_TODAY: Final[_Question] = ("GET", [("accept", ", ".join(MEDIA_TYPES))])
_SEED: Final[_Question] = ("POST", [("content-type", SEED_MEDIA_TYPE), ("accept", SEED_MEDIA_TYPE)])


class _MayPass(Exception):
    """This attempt failed in a way that another one may not."""

    def __init__(self, error: DiscoveryError) -> None:
        super().__init__(error.message)
        self.error = error


async def _discover_once(client: DeploymentClient, target: Deployment, *, use_http_11: bool, silence_ms_max: int) -> Discovered:
    url = target.url
    outcome = await _ask(client, target, silence_ms_max, _TODAY)
    if isinstance(outcome, ExchangeFailure) and outcome.is_other_http_version and not use_http_11 and url.startswith("https:"):
        target = msgspec.structs.replace(target, http_version=HTTP_1_1)
        outcome = await _ask(client, target, silence_ms_max, _TODAY)
    if isinstance(outcome, Answer) and outcome.status in SEED_STATUSES:
        outcome = await _ask_as_seed(client, target, silence_ms_max, outcome)
    if outcome is None:
        raise BadDiscoveryResponse(f"the manifest of {url} is larger than {MANIFEST_BYTES_MAX} bytes")
    if isinstance(outcome, ExchangeFailure):
        _raise_failure(url, outcome, target.http_version)
    _check_status(url, outcome)
    content_type = outcome.header("content-type")
    if content_type not in (*MEDIA_TYPES, SEED_MEDIA_TYPE):
        raise BadDiscoveryResponse(
            f"received a bad response from the SDK at {url}: its content type is {content_type!r}, wanted one of {', '.join(MEDIA_TYPES)}"
        )
    parse = parse_manifest if content_type != SEED_MEDIA_TYPE else _parse_seed_manifest
    return parse(
        outcome.body,
        http_version=target.http_version,
        sdk_version=outcome.header("x-restate-server"),
        is_lambda=target.lambda_arn is not None,
    )


def _parse_seed_manifest(body: bytes, *, http_version: str, sdk_version: str | None, is_lambda: bool) -> Discovered:
    from perdure.deployments.seed.manifest import parse_seed_manifest

    return parse_seed_manifest(body, http_version=http_version, sdk_version=sdk_version, is_lambda=is_lambda)


async def _ask_as_seed(client: DeploymentClient, target: Deployment, silence_ms_max: int, refusal: Answer) -> Answer | None:
    """Return the answer of an endpoint of the seed era; where it is none, `refusal` stands."""
    outcome = await _ask(client, target, silence_ms_max, _SEED)
    if isinstance(outcome, Answer) and not (200 <= outcome.status < 300 and outcome.header("content-type") == SEED_MEDIA_TYPE):
        return refusal
    return refusal if isinstance(outcome, ExchangeFailure) else outcome


async def _ask(
    client: DeploymentClient, deployment: Deployment, silence_ms_max: int, question: _Question
) -> Answer | ExchangeFailure | None:
    """Return the answer, why there is none, or None where it is too large."""
    silence_s = silence_ms_max / 1000
    try:
        async with asyncio.timeout(silence_s) as timeout:
            collector = Collector(bytes_max=MANIFEST_BYTES_MAX, on_sound=lambda: _put_off(timeout, silence_s))
            method, headers = question
            exchange = client.open(deployment, method, "/discover", headers, collector)
            try:
                exchange.end()
                return await collector.done
            finally:
                exchange.abort()
    except TimeoutError:
        message = f"error when calling '{deployment.url}': connected, but nothing came for {silence_ms_max} ms"
        raise DeploymentUnreachable(message) from None


def _put_off(timeout: asyncio.Timeout, silence_s: float) -> None:
    if not timeout.expired():
        timeout.reschedule(asyncio.get_running_loop().time() + silence_s)


def _target(
    url: str, additional_headers: dict[str, str], assume_role_arn: str | None, google_id_token: GoogleIdToken | None, *, use_http_11: bool
) -> Deployment:
    """Return a deployment that is good for asking, before there is one."""
    is_lambda = url.startswith("arn:")
    return Deployment(
        id="",
        url=url,
        protocol_mode=ProtocolMode.REQUEST_RESPONSE,
        http_version=HTTP_1_1 if use_http_11 or is_lambda else HTTP_2,
        protocol_version_min=0,
        protocol_version_max=0,
        created_at_ms=0,
        additional_headers=additional_headers,
        lambda_arn=url if is_lambda else None,
        lambda_assume_role_arn=assume_role_arn,
        google_id_token=google_id_token,
    )


def _raise_failure(url: str, failure: ExchangeFailure, http_version: str) -> NoReturn:
    message = f"error when calling '{url}': {failure.message}"
    if failure.kind is FailureKind.CONNECT and urlsplit(url).hostname in _OWN_NAMES:
        message += "; this name means the machine, or container, of the server"
    if not failure.may_pass:
        raise DeploymentUnreachable(message)
    if not failure.is_other_http_version:
        raise _MayPass(DeploymentUnreachable(message))
    if http_version == HTTP_2:
        raise Http11Only(f"{message}; the endpoint possibly supports only HTTP/1.1: register it with `use_http_11`")
    raise DeploymentUnreachable(f"{message}; the endpoint possibly supports only HTTP/2: register it without `use_http_11`")


def _check_status(url: str, answer: Answer) -> None:
    if 200 <= answer.status < 300:
        return
    headers = ", ".join(f"{name}: {value}" for name, value in answer.headers)
    body = answer.body.decode("utf-8", "replace")[:SHOWN_CHARACTERS_MAX]
    error = DeploymentUnreachable(f"got status code '{answer.status}' from {url}, headers [{headers}], body {body!r}")
    if answer.status in RETRIED_STATUSES:
        raise _MayPass(error)
    raise error
