"""The endpoint manifest, read into the model."""

import json
from typing import Any

import pytest

from perdure.deployments.errors import BadDiscoveryResponse, DiscoveryError, ProtocolVersionsUnsupported, ServiceUnusable
from perdure.deployments.manifest import Discovered, parse_manifest
from perdure.model.deployment import HandlerOptions, InputRules, OutputRules, ProtocolMode, RetryPolicy
from perdure.model.target import HandlerType, ServiceType


def a_manifest(**changes: Any) -> dict[str, Any]:
    whole = {"protocolMode": "BIDI_STREAM", "minProtocolVersion": 5, "maxProtocolVersion": 7, "services": []}
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


def a_service(ty: str = "SERVICE", handlers: list[dict[str, Any]] | None = None, **options: Any) -> dict[str, Any]:
    return {"name": "Greeter", "ty": ty, "handlers": handlers if handlers is not None else [{"name": "greet"}], **options}


def parse(manifest: dict[str, Any], *, sdk_version: str | None = None) -> Discovered:
    return parse_manifest(json.dumps(manifest).encode(), http_version="HTTP/2.0", sdk_version=sdk_version)


def parse_handler(ty: str, handler: dict[str, Any], **service_options: Any) -> HandlerType:
    service = a_service(ty, [{"name": "greet", **handler}], **service_options)
    return parse(a_manifest(services=[service])).services[0].handlers["greet"].handler_type


def test_a_manifest_becomes_services_without_revision_or_deployment() -> None:
    found = parse(a_manifest(services=[a_service()], lambdaCompression="zstd"), sdk_version="restate-sdk-python/1.3.0")
    assert (found.protocol_mode, found.http_version, found.sdk_version) == (
        ProtocolMode.BIDI_STREAM,
        "HTTP/2.0",
        "restate-sdk-python/1.3.0",
    )
    assert (found.protocol_version_min, found.protocol_version_max, found.lambda_compression) == (5, 7, "zstd")
    [service] = found.services
    assert (service.name, service.service_type, service.revision, service.deployment_id) == ("Greeter", ServiceType.SERVICE, 0, "")


@pytest.mark.parametrize(
    ("service_type", "handler_type", "resolved"),
    [
        ("SERVICE", None, HandlerType.PLAIN),
        ("SERVICE", "SHARED", HandlerType.PLAIN),
        ("VIRTUAL_OBJECT", None, HandlerType.EXCLUSIVE),
        ("VIRTUAL_OBJECT", "EXCLUSIVE", HandlerType.EXCLUSIVE),
        ("VIRTUAL_OBJECT", "SHARED", HandlerType.SHARED),
        ("WORKFLOW", None, HandlerType.SHARED),
        ("WORKFLOW", "SHARED", HandlerType.SHARED),
        ("WORKFLOW", "WORKFLOW", HandlerType.WORKFLOW),
    ],
)
def test_a_handler_type_follows_from_its_service(service_type: str, handler_type: str | None, resolved: HandlerType) -> None:
    assert parse_handler(service_type, {"ty": handler_type} if handler_type else {}) is resolved


@pytest.mark.parametrize(
    ("service_type", "handler_type"),
    [("SERVICE", "EXCLUSIVE"), ("SERVICE", "WORKFLOW"), ("VIRTUAL_OBJECT", "WORKFLOW"), ("WORKFLOW", "EXCLUSIVE")],
)
def test_a_handler_that_its_service_cannot_have_is_refused(service_type: str, handler_type: str) -> None:
    with pytest.raises(ServiceUnusable, match=f"Greeter/greet: a {service_type} cannot have a handler of type {handler_type}"):
        parse_handler(service_type, {"ty": handler_type})


def test_all_options_of_service_and_handler_are_kept() -> None:
    options = {
        "documentation": "says hello",
        "metadata": {"team": "a"},
        "inactivityTimeout": 1,
        "abortTimeout": 2,
        "journalRetention": 3,
        "idempotencyRetention": 4,
        "enableLazyState": True,
        "ingressPrivate": True,
        "retryPolicyInitialInterval": 5,
        "retryPolicyMaxInterval": 6,
        "retryPolicyExponentiationFactor": 1.5,
        "retryPolicyMaxAttempts": 0,
        "retryPolicyOnMaxAttempts": "PAUSE",
    }
    handler = {
        "name": "greet",
        **options,
        "input": {"required": True, "contentType": "text/*", "jsonSchema": {"type": "string"}},
        "output": {"contentType": "text/plain", "setContentTypeIfEmpty": True, "jsonSchema": True},
    }
    [service] = parse(a_manifest(services=[a_service(handlers=[handler], **options)])).services
    expected = HandlerOptions(
        journal_retention_ms=3,
        idempotency_retention_ms=4,
        inactivity_timeout_ms=1,
        abort_timeout_ms=2,
        enable_lazy_state=True,
        ingress_private=True,
        retry_policy=RetryPolicy(initial_interval_ms=5, factor=1.5, max_interval_ms=6, max_attempts=1, pauses_on_max_attempts=True),
        documentation="says hello",
        metadata={"team": "a"},
    )
    assert service.options == expected
    assert service.handlers["greet"].options == expected
    assert service.handlers["greet"].input == InputRules(required=True, content_type="text/*", json_schema={"type": "string"})
    assert service.handlers["greet"].output == OutputRules(content_type="text/plain", set_content_type_if_empty=True, json_schema=True)


def test_absent_input_and_output_differ_from_empty_ones() -> None:
    [service] = parse(a_manifest(services=[a_service(handlers=[{"name": "a"}, {"name": "b", "input": {}, "output": {}}])])).services
    assert (service.handlers["a"].input, service.handlers["a"].output) == (None, None)
    assert (service.handlers["b"].input, service.handlers["b"].output) == (InputRules(), OutputRules())


@pytest.mark.parametrize(
    "manifest",
    [
        a_manifest(surprise=1),
        a_manifest(services=[a_service(surprise=1)]),
        a_manifest(services=[a_service(handlers=[{"name": "greet", "surprise": 1}])]),
        a_manifest(services=[a_service(handlers=[{"name": "greet", "input": {"surprise": 1}}])]),
        a_manifest(services=...),
        a_manifest(protocolMode="SOMETHING"),
        a_manifest(services=[{**a_service(), "name": "9lives"}]),
        a_manifest(services=[{**a_service(), "name": "Greeter\n"}]),
        a_manifest(services=[a_service(handlers=[{"name": "not-a-handler"}])]),
        a_manifest(services=[a_service(handlers=[{"name": "greet", "abortTimeout": -1}])]),
    ],
)
def test_a_manifest_outside_the_schema_is_shown_in_the_error(manifest: dict[str, Any]) -> None:
    with pytest.raises(DiscoveryError, match=r"the manifest cannot be read: .*minProtocolVersion") as caught:
        parse(manifest)
    assert caught.value.code is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[]", b"{"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(DiscoveryError, match="the manifest cannot be read"):
        parse_manifest(body, http_version="HTTP/2.0", sdk_version=None)


def test_a_missing_protocol_mode_is_a_bad_response() -> None:
    with pytest.raises(BadDiscoveryResponse, match="no protocolMode"):
        parse(a_manifest(protocolMode=...))


@pytest.mark.parametrize(("low", "high"), [(0, 7), (7, 5), (5, 2_147_483_648), (-1, -1)])
def test_protocol_versions_that_are_no_range_are_a_bad_response(low: int, high: int) -> None:
    with pytest.raises(BadDiscoveryResponse, match="no range"):
        parse(a_manifest(minProtocolVersion=low, maxProtocolVersion=high))


@pytest.mark.parametrize(("low", "high"), [(8, 8), (8, 9)])
def test_protocol_versions_without_overlap_are_unsupported(low: int, high: int) -> None:
    with pytest.raises(ProtocolVersionsUnsupported, match=rf"\[{low}, {high}\]"):
        parse(a_manifest(minProtocolVersion=low, maxProtocolVersion=high))


@pytest.mark.parametrize(("low", "high"), [(1, 4), (1, 5), (7, 9)])
def test_protocol_versions_that_overlap_are_kept_as_announced(low: int, high: int) -> None:
    found = parse(a_manifest(minProtocolVersion=low, maxProtocolVersion=high))
    assert (found.protocol_version_min, found.protocol_version_max) == (low, high)


def test_an_early_typescript_sdk_is_taken_to_speak_version_one() -> None:
    found = parse(a_manifest(minProtocolVersion=1, maxProtocolVersion=5), sdk_version="restate-sdk-typescript/1.2.3")
    assert (found.protocol_version_min, found.protocol_version_max) == (1, 1)


@pytest.mark.parametrize(
    ("service_type", "handler", "service_options", "reason"),
    [
        ("WORKFLOW", {"workflowCompletionRetention": 1}, {}, "only the WORKFLOW handler"),
        ("WORKFLOW", {"ty": "WORKFLOW", "idempotencyRetention": 1}, {}, "cannot set idempotencyRetention"),
        ("SERVICE", {"ingressPrivate": False}, {"ingressPrivate": True}, "cannot be public"),
        ("SERVICE", {"input": {"contentType": "*/json"}}, {}, "content type"),
        ("SERVICE", {"input": {"contentType": "json"}}, {}, "content type"),
        ("SERVICE", {"output": {"contentType": "a\nb"}}, {}, "content type"),
    ],
)
def test_options_that_do_not_fit_are_refused_and_name_the_handler(
    service_type: str, handler: dict[str, Any], service_options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ServiceUnusable, match=f"Greeter/greet: .*{reason}"):
        parse_handler(service_type, handler, **service_options)


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(DiscoveryError, match="service Greeter is there twice"):
        parse(a_manifest(services=[a_service(), a_service()]))
    with pytest.raises(DiscoveryError, match="handler of Greeter greet is there twice"):
        parse(a_manifest(services=[a_service(handlers=[{"name": "greet"}, {"name": "greet"}])]))
