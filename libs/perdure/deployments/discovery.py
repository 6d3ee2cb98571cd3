"""Ask an endpoint what it serves. Source: shared/spec/service-protocol.md, section 1."""

import asyncio
from typing import Final, NoReturn

import msgspec

from perdure.base.clock import Random, SystemRandom
from perdure.base.limits import MIB
from perdure.deployments.client import HTTP_1_1, HTTP_2
from perdure.deployments.errors import BadDiscoveryResponse, DeploymentUnreachable, DiscoveryError, Http11Only
from perdure.deployments.interface import DeploymentClient, ExchangeFailure, HeaderList
from perdure.deployments.manifest import MEDIA_TYPES, Discovered, parse_manifest
from perdure.model.deployment import Deployment, ProtocolMode

RETRIES_MAX: Final = 4
RETRY_DELAY_MS_FIRST: Final = 100
RETRY_DELAY_FACTOR: Final = 2
RETRY_JITTER: Final = 1 / 3
RETRIED_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})

SILENCE_MS_MAX: Final = 30_000
"""An endpoint that says nothing for so long is given up."""

MANIFEST_BYTES_MAX: Final = 16 * MIB
SHOWN_CHARACTERS_MAX: Final = 2_000


async def discover(
    client: DeploymentClient,
    url: str,
    *,
    additional_headers: dict[str, str] | None = None,
    use_http_11: bool = False,
    random: Random | None = None,
    silence_ms_max: int = SILENCE_MS_MAX,
) -> Discovered:
    """Return what the endpoint at `url` serves. Retries what may pass; takes up to two seconds before it gives up on a dead one.

    Over `http`, HTTP/2 is spoken with prior knowledge unless `use_http_11`; over `https` the endpoint chooses.

    Raises:
        DiscoveryError: One of its kinds, all with a sentence and a hint.
    """
    random = random or SystemRandom()
    delay_ms = RETRY_DELAY_MS_FIRST
    for attempt in range(RETRIES_MAX + 1):
        try:
            return await _discover_once(client, url, additional_headers or {}, use_http_11=use_http_11, silence_ms_max=silence_ms_max)
        except _MayPass as error:
            if attempt == RETRIES_MAX:
                raise error.error from None
        await asyncio.sleep(delay_ms * (1 + random.fraction() * RETRY_JITTER) / 1000)
        delay_ms *= RETRY_DELAY_FACTOR
    raise AssertionError("the last attempt returns or raises")


class _MayPass(Exception):
    """This attempt failed in a way that another one may not."""

    def __init__(self, error: DiscoveryError) -> None:
        super().__init__(error.message)
        self.error = error


class _Answer(msgspec.Struct, frozen=True):
    status: int
    headers: HeaderList
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


class _Collector:
    """Gathers one response. `done` gives the answer, or why there is none; `heard` is called at each sign of life."""

    def __init__(self, timeout: asyncio.Timeout, silence_s: float) -> None:
        self._timeout = timeout
        self._silence_s = silence_s
        self._status = 0
        self._headers: HeaderList = []
        self._body = bytearray()
        self.done: asyncio.Future[_Answer | ExchangeFailure | None] = asyncio.get_running_loop().create_future()

    def on_response(self, status: int, headers: HeaderList) -> None:
        self._status, self._headers = status, headers
        self._on_sound()

    def on_data(self, data: bytes) -> None:
        self._body += data
        self._on_sound()
        if len(self._body) > MANIFEST_BYTES_MAX:
            self._finish(None)

    def on_end(self) -> None:
        self._finish(_Answer(self._status, self._headers, bytes(self._body)))

    def on_failure(self, failure: ExchangeFailure) -> None:
        self._finish(failure)

    def _on_sound(self) -> None:
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._silence_s)

    def _finish(self, outcome: _Answer | ExchangeFailure | None) -> None:
        if not self.done.done():
            self.done.set_result(outcome)


async def _discover_once(
    client: DeploymentClient, url: str, additional_headers: dict[str, str], *, use_http_11: bool, silence_ms_max: int
) -> Discovered:
    http_version = HTTP_1_1 if use_http_11 else HTTP_2
    outcome = await _ask(client, _target(url, http_version, additional_headers), silence_ms_max)
    if isinstance(outcome, ExchangeFailure) and outcome.is_other_http_version and not use_http_11 and url.startswith("https:"):
        http_version = HTTP_1_1
        outcome = await _ask(client, _target(url, http_version, additional_headers), silence_ms_max)
    if outcome is None:
        raise BadDiscoveryResponse(f"the manifest of {url} is larger than {MANIFEST_BYTES_MAX} bytes")
    if isinstance(outcome, ExchangeFailure):
        _raise_failure(url, outcome, http_version)
    _check_status(url, outcome)
    content_type = outcome.header("content-type")
    if content_type not in MEDIA_TYPES:
        raise BadDiscoveryResponse(
            f"received a bad response from the SDK at {url}: its content type is {content_type!r}, wanted one of {', '.join(MEDIA_TYPES)}"
        )
    return parse_manifest(outcome.body, http_version=http_version, sdk_version=outcome.header("x-restate-server"))


async def _ask(client: DeploymentClient, deployment: Deployment, silence_ms_max: int) -> _Answer | ExchangeFailure | None:
    """Return the answer, why there is none, or None where it is too large."""
    silence_s = silence_ms_max / 1000
    try:
        async with asyncio.timeout(silence_s) as timeout:
            collector = _Collector(timeout, silence_s)
            exchange = client.open(deployment, "GET", "/discover", [("accept", ", ".join(MEDIA_TYPES))], collector)
            try:
                exchange.end()
                return await collector.done
            finally:
                exchange.abort()
    except TimeoutError:
        message = f"error when calling '{deployment.url}': connected, but nothing came for {silence_ms_max} ms"
        raise DeploymentUnreachable(message) from None


def _target(url: str, http_version: str, additional_headers: dict[str, str]) -> Deployment:
    """Return a deployment that is good for asking, before there is one."""
    return Deployment(
        id="",
        url=url,
        protocol_mode=ProtocolMode.REQUEST_RESPONSE,
        http_version=http_version,
        protocol_version_min=0,
        protocol_version_max=0,
        created_at_ms=0,
        additional_headers=additional_headers,
    )


def _raise_failure(url: str, failure: ExchangeFailure, http_version: str) -> NoReturn:
    message = f"error when calling '{url}': {failure.message}"
    if not failure.is_other_http_version:
        raise _MayPass(DeploymentUnreachable(message))
    if http_version == HTTP_2:
        raise Http11Only(f"{message}; the endpoint possibly supports only HTTP/1.1")
    raise DeploymentUnreachable(f"{message}; the endpoint possibly supports only HTTP/2")


def _check_status(url: str, answer: _Answer) -> None:
    if 200 <= answer.status < 300:
        return
    headers = ", ".join(f"{name}: {value}" for name, value in answer.headers)
    body = answer.body.decode("utf-8", "replace")[:SHOWN_CHARACTERS_MAX]
    error = DeploymentUnreachable(f"got status code '{answer.status}' from {url}, headers [{headers}], body {body!r}")
    if answer.status in RETRIED_STATUSES:
        raise _MayPass(error)
    raise error
