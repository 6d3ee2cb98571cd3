"""The OpenAPI document of a service."""

from typing import Any

import pytest
from openapi_spec_validator import validate

from perdure.model.deployment import HandlerOptions, InputRules, OutputRules, Service
from perdure.model.target import HandlerType, ServiceType
from perdure.registry.openapi import service_document
from tests.unit.registry.builders import a_handler, a_service

NESTED = {"properties": {"a": {"$ref": "#/$defs/A"}, "whole": {"$ref": "#"}}, "$defs": {"A": {"type": "string"}}}


def document_of(*services: Service) -> dict[str, Any]:
    (service,) = services
    document = service_document(service, ingress_url="http://ingress:8080/")
    validate(document)
    return document


def operations(document: dict[str, Any]) -> dict[str, str]:
    return {path: operation["operationId"] for path, item in document["paths"].items() for operation in item.values()}


def names(operation: dict[str, Any]) -> list[str]:
    return [parameter["$ref"].rpartition("/")[2] for parameter in operation["parameters"]]


def test_a_handler_of_a_service_can_be_called_sent_to_and_found_again_by_its_idempotency_key() -> None:
    document = document_of(a_service("S", ServiceType.SERVICE, a_handler("h")))
    assert operations(document) == {
        "/restate/call/S/h": "h",
        "/restate/send/S/h": "hSend",
        "/restate/invocation/S/h/{idempotencyKey}/attach": "hAttach",
        "/restate/invocation/S/h/{idempotencyKey}/output": "hOutput",
    }
    assert names(document["paths"]["/restate/send/S/h"]["post"]) == ["idempotencyKeyHeader", "delay"]
    assert document["servers"][0]["url"] == "http://ingress:8080/"


def test_an_object_has_its_key_in_every_path() -> None:
    document = document_of(a_service("O", ServiceType.VIRTUAL_OBJECT, a_handler("h", kind=HandlerType.EXCLUSIVE)))
    assert next(iter(document["paths"])) == "/restate/call/O/{key}/h"
    for item in document["paths"].values():
        for operation in item.values():
            assert names(operation)[0] == "key"


def test_a_workflow_is_found_again_by_its_key_and_takes_no_idempotency_key() -> None:
    run, shared = a_handler("run", kind=HandlerType.WORKFLOW), a_handler("look", kind=HandlerType.SHARED)
    document = document_of(a_service("W", ServiceType.WORKFLOW, run, shared))
    assert operations(document) == {
        "/restate/call/W/{key}/run": "run",
        "/restate/send/W/{key}/run": "runSend",
        "/restate/workflow/W/{key}/attach": "runAttach",
        "/restate/workflow/W/{key}/output": "runOutput",
        "/restate/call/W/{key}/look": "look",
        "/restate/send/W/{key}/look": "lookSend",
    }
    assert names(document["paths"]["/restate/send/W/{key}/run"]["post"]) == ["key", "delay"]


def test_schemas_of_the_manifest_become_components_whose_references_still_hold() -> None:
    handler = a_handler(
        "h",
        input=InputRules(required=True, content_type="application/json", json_schema=NESTED),
        output=OutputRules(content_type="application/json", json_schema=True),
    )
    document = document_of(a_service("S", ServiceType.SERVICE, handler))
    schemas = document["components"]["schemas"]
    assert schemas["hRequest"]["properties"] == {
        "a": {"$ref": "#/components/schemas/hRequest/$defs/A"},
        "whole": {"$ref": "#/components/schemas/hRequest"},
    }
    assert schemas["hResponse"] is True
    call = document["paths"]["/restate/call/S/h"]["post"]
    reference = {"$ref": "#/components/schemas/hRequest"}
    assert call["requestBody"] == {"required": True, "content": {"application/json": {"schema": reference}}}


@pytest.mark.parametrize(
    ("rules", "body"),
    [
        (None, {"required": False, "content": {"*/*": {}}}),
        (InputRules(), None),
        (InputRules(content_type="image/*"), {"required": False, "content": {"image/*": {}}}),
    ],
)
def test_the_body_is_what_the_input_rules_let_in(rules: InputRules | None, body: dict[str, Any] | None) -> None:
    document = document_of(a_service("S", ServiceType.SERVICE, a_handler("h", input=rules)))
    assert document["paths"]["/restate/call/S/h"]["post"].get("requestBody") == body


def test_documentation_and_metadata_are_shown_and_private_handlers_are_not() -> None:
    told = HandlerOptions(documentation="says hello", metadata={"team": "a"})
    handlers = a_handler("h", options=told), a_handler("hidden", options=HandlerOptions(ingress_private=True))
    document = document_of(a_service("S", ServiceType.SERVICE, *handlers, options=told))
    assert not [path for path in document["paths"] if "hidden" in path]
    for place in (document["info"], document["paths"]["/restate/call/S/h"]["post"]):
        assert (place["description"], place["x-restate-extensions"]) == ("says hello", {"team": "a"})
