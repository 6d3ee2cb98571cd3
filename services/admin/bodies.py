"""Request bodies and query parameters: from bytes to records, with the refusals that clients know.

Source: shared/spec/admin.md, sections 1.3, 3.1 and 4.2.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec
from starlette.requests import Request

from perdure.base.durations import InvalidDuration, parse_duration_ms
from perdure.base.limits import MIB
from perdure.deployments.aws_lambda.functions import parse_function_arn
from perdure.deployments.google import HEADER as GOOGLE_HEADER
from perdure.model.deployment import GoogleIdToken, RetryPolicy
from perdure.registry.registrations import ServiceChanges
from services.admin.errors import InvalidField, PlainError

T = TypeVar("T")

BODY_BYTES_MAX: Final = 4 * MIB
ATTEMPTS_MAX: Final = (1 << 32) - 1

_NO_VARIANT: Final = "data did not match any variant of untagged enum RegisterDeploymentRequest"
_NO_UPDATE: Final = "data did not match any variant of untagged enum UpdateDeploymentRequest"
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_URI: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%|{}\"^`\\]+")
_PRIVATE: Final = [ip_network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")]
_BYTE: Final = re.compile(r" \(byte (\d+)\)")


class _Registration(msgspec.Struct, frozen=True, kw_only=True):
    additional_headers: dict[str, str] | None = None
    metadata: dict[str, str] = {}
    breaking: bool = False
    force: bool | None = None
    """None: as the API version has it."""
    dry_run: bool = False


class _GoogleAuth(msgspec.Struct, frozen=True):
    audience: str | None = None
    impersonate_service_account: str | None = None


class _Auth(msgspec.Struct, frozen=True):
    google: _GoogleAuth = msgspec.field(name="GoogleIdToken")


class HttpRegistration(_Registration, frozen=True, kw_only=True):
    """The form of `POST /deployments` for an HTTP endpoint. `uri` has no trailing slash, header names are in lower case."""

    uri: str
    use_http_11: bool = False
    auth: _Auth | None = None

    @property
    def google_id_token(self) -> GoogleIdToken | None:
        """What `auth` asks for; without an audience the token is for the endpoint, scheme and authority."""
        if self.auth is None:
            return None
        parts, google = urlsplit(self.uri), self.auth.google
        audience = f"{parts.scheme}://{parts.netloc}" if google.audience is None else google.audience
        return GoogleIdToken(audience, google.impersonate_service_account)


class LambdaRegistration(_Registration, frozen=True, kw_only=True):
    """The form of `POST /deployments` for a Lambda function."""

    arn: str
    assume_role_arn: str | None = None


class DeploymentUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `PATCH /deployments/{deployment}`, of either form; None leaves as it is."""

    uri: str | None = None
    use_http_11: bool | None = None
    arn: str | None = None
    assume_role_arn: str | None = None
    additional_headers: dict[str, str] | None = None
    overwrite: bool = False
    dry_run: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to change: to overwrite alone is nothing, as clients know it."""
        return self == DeploymentUpdate(overwrite=self.overwrite, dry_run=self.dry_run)


class _RetryPatch(msgspec.Struct, frozen=True, kw_only=True):
    initial_interval: str | None = None
    exponentiation_factor: Annotated[float, msgspec.Meta(ge=1)] | None = None
    max_interval: str | None = None
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=ATTEMPTS_MAX)] | None = None
    on_max_attempts: Literal["Pause", "Kill"] | None = None


class _ServicePatch(msgspec.Struct, frozen=True, kw_only=True):
    public: bool | None = None
    idempotency_retention: str | None = None
    workflow_completion_retention: str | None = None
    journal_retention: str | None = None
    inactivity_timeout: str | None = None
    abort_timeout: str | None = None
    retry_policy: _RetryPatch | None = None


async def read_json(request: Request) -> Any:  # Any: a JSON value
    """Return the body as JSON.

    Raises:
        PlainError: Not declared as JSON (415) or not JSON (400).
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))):
        raise PlainError(415, "Expected request with `Content-Type: application/json`")
    body = await _read_body(request)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PlainError(400, f"Failed to parse the request body as JSON: {_located(str(error), body)}") from None


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise PlainError(413, f"The request body is larger than {BODY_BYTES_MAX} bytes")
    return bytes(body)


def _located(message: str, body: bytes) -> str:
    """Return a decoder's message with line and column, as clients expect them, instead of an offset."""
    match = _BYTE.search(message)
    offset = len(body) if match is None else int(match[1])
    line = body.count(b"\n", 0, offset) + 1
    column = offset - (body.rfind(b"\n", 0, offset) + 1) + (0 if match is None else 1)
    return f"{_BYTE.sub('', message)} at line {line} column {column}"


async def read_registration(request: Request) -> HttpRegistration | LambdaRegistration:
    """Return the body of `POST /deployments`: the HTTP form where it fits, else the Lambda form.

    Raises:
        PlainError: No JSON, or neither form.
        InvalidField: `uri` is not an absolute http or https URI, or `auth` cannot be had there.
    """
    document = await read_json(request)
    try:
        registration = msgspec.convert(document, HttpRegistration)
    except msgspec.ValidationError:
        registration = None
    if registration is not None and _URI.fullmatch(registration.uri):
        headers = _checked_headers(registration.additional_headers)
        registration = msgspec.structs.replace(registration, uri=_checked_uri(registration.uri), additional_headers=headers)
        if registration.auth is not None:
            check_google_auth(registration.uri, headers)
        return registration
    try:
        function = msgspec.convert(document, LambdaRegistration)
    except msgspec.ValidationError:
        raise unprocessable(_NO_VARIANT) from None
    return msgspec.structs.replace(function, additional_headers=_checked_headers(function.additional_headers))


async def read_deployment_update(request: Request) -> DeploymentUpdate:
    """Return the body of `PATCH /deployments/{deployment}`.

    Raises:
        PlainError: No JSON, or a member of a wrong type.
        InvalidField: `uri` is not an absolute http or https URI.
    """
    document = await read_json(request)
    try:
        update = msgspec.convert(document, DeploymentUpdate)
    except msgspec.ValidationError:
        raise unprocessable(_NO_UPDATE) from None
    if update.uri is not None and not _URI.fullmatch(update.uri):
        raise unprocessable(_NO_UPDATE)
    return msgspec.structs.replace(
        update,
        uri=None if update.uri is None else _checked_uri(update.uri),
        additional_headers=None if update.additional_headers is None else _checked_headers(update.additional_headers),
    )


def check_arn(arn: str) -> None:
    """Check the name of a function.

    Raises:
        InvalidField: It is none.
    """
    try:
        parse_function_arn(arn)
    except ValueError as error:
        raise InvalidField("arn", str(error)) from None


def check_google_auth(uri: str, additional_headers: Mapping[str, str]) -> None:
    """Check that a token of Google can go to an endpoint.

    Raises:
        InvalidField: It would go unencrypted through a public network, or an additional header stands in its place.
    """
    parts = urlsplit(uri)
    if parts.scheme != "https" and not _is_near(parts.hostname or ""):
        raise InvalidField("auth", f"An ID token goes to https addresses only, or to a loopback or private one, but {uri} is neither.")
    if GOOGLE_HEADER in additional_headers:
        raise InvalidField(
            "additional_headers", f"{GOOGLE_HEADER} carries the ID token that `auth` asks for; send a fixed token in authorization."
        )


def _is_near(host: str) -> bool:
    """Tell whether a host is this machine or in a private network, as its address says; names are not resolved."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or any(address in network for network in _PRIVATE if network.version == address.version)


def _checked_uri(uri: str) -> str:
    try:
        parts = urlsplit(uri)
        has_port = parts.port is None or parts.port >= 0
    except ValueError:
        raise unprocessable(_NO_VARIANT) from None
    if not parts.scheme or not parts.netloc or not has_port:
        raise InvalidField("uri", f"The provided uri {uri} is not absolute, only absolute URIs can be used.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidField("uri", f"The provided uri {uri} is neither http nor https.")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), parts.query, ""))


def _checked_headers(headers: dict[str, str] | None) -> dict[str, str]:
    for name, value in (headers or {}).items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise unprocessable(_NO_VARIANT)
    return {name.lower(): value for name, value in (headers or {}).items()}


async def read_record(request: Request, kind: type[T]) -> T:
    """Return the body as a record of `kind`.

    Raises:
        PlainError: No JSON, or a member that is missing or of a wrong type.
    """
    document = await read_json(request)
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise unprocessable(str(error)) from None


async def read_service_changes(request: Request) -> ServiceChanges:
    """Return the body of `PATCH /services/{name}`.

    Raises:
        PlainError: No JSON, or a member of a wrong type.
    """
    patch = await read_record(request, _ServicePatch)
    return ServiceChanges(
        public=patch.public,
        idempotency_retention_ms=_duration("idempotency_retention", patch.idempotency_retention),
        workflow_completion_retention_ms=_duration("workflow_completion_retention", patch.workflow_completion_retention),
        journal_retention_ms=_duration("journal_retention", patch.journal_retention),
        inactivity_timeout_ms=_duration("inactivity_timeout", patch.inactivity_timeout),
        abort_timeout_ms=_duration("abort_timeout", patch.abort_timeout),
        retry_policy=_retry_changes(patch.retry_policy or _RetryPatch()),
    )


def _retry_changes(patch: _RetryPatch) -> RetryPolicy:
    return RetryPolicy(
        initial_interval_ms=_duration("initial_interval", patch.initial_interval),
        factor=patch.exponentiation_factor,
        max_interval_ms=_duration("max_interval", patch.max_interval),
        max_attempts=patch.max_attempts,
        pauses_on_max_attempts=None if patch.on_max_attempts is None else patch.on_max_attempts == "Pause",
    )


def _duration(field: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_duration_ms(text)
    except InvalidDuration as error:
        raise unprocessable(f"{field}: {error.message}") from None


def unprocessable(detail: str) -> PlainError:
    """Return the refusal of JSON that is not of the wanted form."""
    return PlainError(422, f"Failed to deserialize the JSON body into the target type: {detail}")


def read_parameter(request: Request, name: str) -> str | None:
    """Return a query parameter, None where there is none.

    Raises:
        PlainError: It is there twice, and nobody can tell which one counts.
    """
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise PlainError(400, f"Failed to deserialize query string: duplicate field `{name}`")
    return values[0] if values else None


def read_flag(request: Request, name: str) -> bool:
    """Return a query parameter that is `true` or `false`; absent is false.

    Raises:
        PlainError: Anything else.
    """
    text = read_parameter(request, name)
    if text not in (None, "true", "false"):
        raise PlainError(400, f"Failed to deserialize query string: {name}: provided string was not `true` or `false`")
    return text == "true"
