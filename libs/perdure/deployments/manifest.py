"""The endpoint manifest: what an SDK says about itself at discovery, read into the model. Pure.

One schema serves all manifest versions; an unknown property anywhere is an error.
Source: shared/spec/service-protocol.md, 1.2 (steps 4 to 9), 1.5 and 1.6.
"""

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from perdure.deployments.errors import (
    BadDiscoveryResponse,
    BidirectionalUnsupported,
    DiscoveryError,
    ProtocolVersionsUnsupported,
    ServiceUnusable,
)
from perdure.model.deployment import Handler, HandlerOptions, InputRules, OutputRules, ProtocolMode, RetryPolicy, Service
from perdure.model.target import HandlerType, ServiceType

MEDIA_TYPES: Final = tuple(f"application/vnd.restate.endpointmanifest.v{version}+json" for version in (1, 2, 3, 4))

PROTOCOL_VERSION_MIN: Final = 1
PROTOCOL_VERSION_MAX: Final = 7
"""The service protocol versions that a deployment may be registered with."""

VERSION_NUMBER_MAX: Final = 2_147_483_647
BODY_SHOWN_CHARACTERS_MAX: Final = 2_000
"""Of a body that cannot be read, so much is shown."""

VERSION_ONE_SDKS: Final = tuple(f"restate-sdk-typescript/1.{minor}." for minor in (0, 1, 2))
"""SDKs that announce protocol versions which they do not speak."""

ServiceName = Annotated[str, msgspec.Meta(pattern=r"^([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9._-]*\Z")]
HandlerName = Annotated[str, msgspec.Meta(pattern=r"^([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9_]*\Z")]
Milliseconds = Annotated[int, msgspec.Meta(ge=0)]


class Discovered(msgspec.Struct, frozen=True):
    """What discovery found. The services carry revision 0 and no deployment id yet."""

    protocol_mode: ProtocolMode
    http_version: str
    protocol_version_min: int
    protocol_version_max: int
    services: list[Service]
    sdk_version: str | None = None
    lambda_compression: str | None = None
    descriptor_set: bytes = b""
    """See `Deployment.descriptor_set`."""


class _Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    required: bool | None = None
    content_type: str | None = None
    json_schema: Any = None  # any JSON value: passed on, not interpreted


class _Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    content_type: str | None = None
    set_content_type_if_empty: bool | None = None
    json_schema: Any = None  # any JSON value: passed on, not interpreted


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    documentation: str | None = None
    metadata: dict[str, str] | None = None
    inactivity_timeout: Milliseconds | None = None
    abort_timeout: Milliseconds | None = None
    journal_retention: Milliseconds | None = None
    idempotency_retention: Milliseconds | None = None
    enable_lazy_state: bool | None = None
    ingress_private: bool | None = None
    retry_policy_initial_interval: Milliseconds | None = None
    retry_policy_max_interval: Milliseconds | None = None
    retry_policy_exponentiation_factor: float | None = None
    retry_policy_max_attempts: Annotated[int, msgspec.Meta(ge=0)] | None = None
    retry_policy_on_max_attempts: Literal["PAUSE", "KILL"] | None = None


class _Handler(_Options, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    name: HandlerName
    ty: Literal["EXCLUSIVE", "SHARED", "WORKFLOW"] | None = None
    input: _Input | None = None
    output: _Output | None = None
    workflow_completion_retention: Milliseconds | None = None


class _Service(_Options, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    name: ServiceName
    ty: ServiceType
    handlers: list[_Handler]


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    min_protocol_version: int
    max_protocol_version: int
    services: list[_Service]
    protocol_mode: ProtocolMode | None = None
    lambda_compression: Literal["zstd"] | None = None


_HANDLER_TYPES: Final[dict[tuple[ServiceType, str | None], HandlerType]] = {
    (ServiceType.SERVICE, None): HandlerType.PLAIN,
    (ServiceType.SERVICE, "SHARED"): HandlerType.PLAIN,
    (ServiceType.VIRTUAL_OBJECT, None): HandlerType.EXCLUSIVE,
    (ServiceType.VIRTUAL_OBJECT, "EXCLUSIVE"): HandlerType.EXCLUSIVE,
    (ServiceType.VIRTUAL_OBJECT, "SHARED"): HandlerType.SHARED,
    (ServiceType.WORKFLOW, None): HandlerType.SHARED,
    (ServiceType.WORKFLOW, "SHARED"): HandlerType.SHARED,
    (ServiceType.WORKFLOW, "WORKFLOW"): HandlerType.WORKFLOW,
}


def parse_manifest(body: bytes, *, http_version: str, sdk_version: str | None, is_lambda: bool = False) -> Discovered:
    """Read and check the manifest in `body`, which came over `http_version` from `sdk_version` (`x-restate-server`).

    Raises:
        DiscoveryError: One of its kinds, for the first check that fails in the order of the specification.
    """
    try:
        manifest = msgspec.json.decode(body, type=_Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        shown = body.decode("utf-8", "replace")[:BODY_SHOWN_CHARACTERS_MAX]
        raise DiscoveryError(f"the manifest cannot be read: {error}; the body was {shown!r}") from None
    if manifest.protocol_mode is None:
        raise BadDiscoveryResponse("the manifest has no protocolMode")
    if manifest.protocol_mode is ProtocolMode.BIDI_STREAM and (is_lambda or http_version in {"HTTP/0.9", "HTTP/1.0"}):
        raise BidirectionalUnsupported(f"the endpoint wants BIDI_STREAM over {'Lambda' if is_lambda else http_version}")
    version_max = _check_versions(manifest, sdk_version)
    return Discovered(
        protocol_mode=manifest.protocol_mode,
        http_version=http_version,
        protocol_version_min=manifest.min_protocol_version,
        protocol_version_max=version_max,
        services=[_service(service) for service in _distinct(manifest.services, "service")],
        sdk_version=sdk_version,
        lambda_compression=manifest.lambda_compression,
    )


def _check_versions(manifest: _Manifest, sdk_version: str | None) -> int:
    """Return the highest version that the endpoint really speaks."""
    low, high = manifest.min_protocol_version, manifest.max_protocol_version
    if not 1 <= low <= high <= VERSION_NUMBER_MAX:
        raise BadDiscoveryResponse(f"the manifest's protocol versions {low} to {high} are no range within 1 to {VERSION_NUMBER_MAX}")
    if sdk_version is not None and sdk_version.startswith(VERSION_ONE_SDKS):
        high = 1
    if low > PROTOCOL_VERSION_MAX or high < PROTOCOL_VERSION_MIN:
        known = f"{PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION_MAX}"
        raise ProtocolVersionsUnsupported(f"unsupported service protocol versions [{low}, {high}]; this server speaks {known}")
    return high


def _service(service: _Service) -> Service:
    handlers = [_handler(service, handler) for handler in _distinct(service.handlers, f"handler of {service.name}")]
    return Service(
        name=service.name,
        service_type=service.ty,
        revision=0,
        deployment_id="",
        handlers={handler.name: handler for handler in handlers},
        options=_options(service, completion_retention=None),
    )


def _handler(service: _Service, handler: _Handler) -> Handler:
    place = f"{service.name}/{handler.name}"
    handler_type = _HANDLER_TYPES.get((service.ty, handler.ty))
    if handler_type is None:
        raise ServiceUnusable(f"{place}: a {service.ty} cannot have a handler of type {handler.ty}")
    if handler.workflow_completion_retention is not None and handler_type is not HandlerType.WORKFLOW:
        raise ServiceUnusable(f"{place}: only the WORKFLOW handler can set workflowCompletionRetention")
    if handler.idempotency_retention is not None and handler_type is HandlerType.WORKFLOW:
        raise ServiceUnusable(f"{place}: the WORKFLOW handler cannot set idempotencyRetention")
    if service.ingress_private and handler.ingress_private is False:
        raise ServiceUnusable(f"{place}: the service is private, so the handler cannot be public")
    return Handler(
        name=handler.name,
        handler_type=handler_type,
        input=_input(place, handler.input),
        output=_output(place, handler.output),
        options=_options(handler, completion_retention=handler.workflow_completion_retention),
    )


def _input(place: str, rules: _Input | None) -> InputRules | None:
    if rules is None:
        return None
    if rules.content_type is not None:
        kind, slash, subtype = rules.content_type.partition("/")
        if not slash or not kind or not subtype or (kind == "*" and subtype != "*"):
            raise ServiceUnusable(f"{place}: {rules.content_type!r} is no content type that an input can have")
    return InputRules(required=bool(rules.required), content_type=rules.content_type, json_schema=rules.json_schema)


def _output(place: str, rules: _Output | None) -> OutputRules | None:
    if rules is None:
        return None
    content_type = rules.content_type
    if content_type is not None and not (content_type.isascii() and content_type.isprintable()):
        raise ServiceUnusable(f"{place}: {content_type!r} is no content type that a header can carry")
    empty_too = bool(rules.set_content_type_if_empty)
    return OutputRules(content_type=content_type, set_content_type_if_empty=empty_too, json_schema=rules.json_schema)


def _options(options: _Options, *, completion_retention: int | None) -> HandlerOptions:
    attempts = options.retry_policy_max_attempts
    on_max = options.retry_policy_on_max_attempts
    return HandlerOptions(
        journal_retention_ms=options.journal_retention,
        idempotency_retention_ms=options.idempotency_retention,
        workflow_completion_retention_ms=completion_retention,
        inactivity_timeout_ms=options.inactivity_timeout,
        abort_timeout_ms=options.abort_timeout,
        enable_lazy_state=options.enable_lazy_state,
        ingress_private=options.ingress_private,
        retry_policy=RetryPolicy(
            initial_interval_ms=options.retry_policy_initial_interval,
            factor=options.retry_policy_exponentiation_factor,
            max_interval_ms=options.retry_policy_max_interval,
            max_attempts=max(1, attempts) if attempts is not None else None,
            pauses_on_max_attempts=on_max == "PAUSE" if on_max is not None else None,
        ),
        documentation=options.documentation,
        metadata=options.metadata or {},
    )


N = TypeVar("N", _Handler, _Service)


def _distinct(named: list[N], what: str) -> list[N]:
    seen: set[str] = set()
    for item in named:
        if item.name in seen:
            raise ServiceUnusable(f"{what} {item.name} is there twice")
        seen.add(item.name)
    return named
