"""Services as the Java SDK of spring 2024 described them: with the options as extensions, nested types, oneofs, maps and presence."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from perdure.codec.descriptors.annotations import FieldAnnotation, ServiceAnnotation, annotation_of
from tests.e2e.endpoint import Endpoint
from tests.e2e.rpc_clients import TRANSPORTS, Reflected, connect
from tests.e2e.suite import Suite

pytestmark = pytest.mark.usefixtures("shop")

CART, ECHO = "java.Cart", "java.Echo"
LINE = {"itemNumber": "12345678901", "amount": 0, "size": "LARGE", "notes": [{"text": "a"}], "labels": {"x": 1}}


@pytest.fixture(scope="module")
def shop(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The services, registered; the answer of the registration."""
    if suite.peer:
        pytest.skip("the real server of today does not know protobuf services")
    endpoint = Endpoint("tests.e2e.java_era:app", tmp_path_factory.mktemp("java"))
    try:
        endpoint.start()
        yield suite.register(endpoint.url)
    finally:
        endpoint.stop()


def test_their_types_and_keys_are_read_from_the_extensions(shop: dict[str, Any]) -> None:
    services = {service["name"]: service for service in shop["services"]}
    assert {name: service["instance_type"] for name, service in services.items()} == {CART: "Keyed", ECHO: "Unkeyed"}
    keys = {method["name"]: method["key_field_number"] for method in services[CART]["methods"]}
    assert keys == {"Add": 2, "Show": 1, "Happened": 1}


def test_they_are_called_with_json_that_keeps_every_kind_of_field(shop: dict[str, Any], suite: Suite, tag: str) -> None:
    line = {"cartId": tag, **LINE}
    assert suite.result(f"/{CART}/Add", line) == {"lines": [line]}
    named = {"cart_id": tag, "item_name": "pen"}
    assert suite.result(f"/{CART}/Add", named)["lines"][1] == {"cartId": tag, "itemName": "pen", "size": "SMALL", "notes": [], "labels": {}}
    assert suite.result(f"/{CART}/Show", {"cartId": f"{tag}-other"}) == {"lines": []}
    both = suite.call(f"/{CART}/Add", {**line, "itemName": "pen"})
    assert (both.status_code, both.json()["code"]) == (400, "invalid_argument")


def test_clients_that_know_only_reflection_see_what_was_declared(shop: dict[str, Any], client: Reflected, tag: str) -> None:
    answer = client.call(f"{CART}/Add", cart_id=tag, item_name="pen", amount=0, labels={"x": 1})
    (line,) = answer.lines
    assert (line.WhichOneof("item"), line.HasField("amount"), dict(line.labels)) == ("item_name", True, {"x": 1})
    files = {file.name.removeprefix(f"{shop['id']}/"): file for file in client.files_of(CART).file}
    declared: FileDescriptorProto = files["shop.proto"]
    assert declared.options.java_package == "my.shop"
    assert [annotation_of(service.options) for service in declared.service] == [ServiceAnnotation.KEYED, ServiceAnnotation.UNKEYED]
    key = next(field for field in declared.message_type[1].field if field.name == "cart_id")
    assert annotation_of(key.options) == FieldAnnotation.KEY
    assert "dev/restate/ext.proto" in files


def test_the_official_clients_call_them_over_every_transport(client: Reflected, suite: Suite, tag: str) -> None:
    line = {"cartId": tag, **LINE}
    calls = [{"transport": each, "service": ECHO, "method": "Say", "request": line} for each in TRANSPORTS]
    ended = connect(suite.ingress_url, client.files_of(ECHO), calls)
    assert [each.get("message") for each in ended] == [line] * len(TRANSPORTS), ended
