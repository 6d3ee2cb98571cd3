"""The admin API in the forms of the seed era, on services of SDK 0.8.1 and of its Java sibling; among them subscriptions to Kafka."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pyarrow as pa
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from perdure.codec.descriptors.keys import fields
from tests.contract.subscriptions.brokers import KafkaCluster
from tests.e2e.conftest import running
from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.seed import Seed, serving
from tests.e2e.suite import Suite

PREFIX = "Era"
CART = f"{PREFIX}.shop.Cart"


class Era(NamedTuple):
    """The server, an endpoint on SDK 0.8.1, and a broker."""

    seed: Seed
    kafka: KafkaCluster
    deployment: dict[str, Any]
    """The answer of its registration."""

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        suite = self.seed.suite
        return suite.http.request(method, suite.admin_url + path, json=body, **options)

    def shown(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()


def located(answer: httpx.Response) -> str:
    """Return the path of what was created."""
    return answer.url.join(answer.headers["location"]).path


@pytest.fixture(scope="module")
def era(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Era]:
    """A server of its own, where nothing of today is registered."""
    directory = tmp_path_factory.mktemp("era")
    kafka = KafkaCluster()
    env = {"PERDURE_KAFKA_CLUSTERS": json.dumps({"mine": kafka.properties})}
    java = Endpoint("tests.e2e.java_era:app", directory)
    try:
        for suite in running(Suite(directory / "data", env=env)):
            with serving(suite, directory, PREFIX) as seed:
                java.start()
                suite.register(java.url)
                answer = suite.http.post(f"{suite.admin_url}/deployments", json={"uri": seed.endpoint.url})
                assert (answer.status_code, located(answer)) == (201, f"/deployments/{answer.json()['id']}")
                yield Era(seed, kafka, answer.json())
    finally:
        java.stop()
        kafka.kill()


def test_deployments_and_services_are_shown_as_they_were_registered(era: Era) -> None:
    deployment, url = era.deployment, f"{era.seed.endpoint.url}/"
    (listed,) = [each for each in era.shown("/deployments")["deployments"] if each["id"] == deployment["id"]]
    assert (listed["uri"], listed["protocol_type"]) == (url, "BidiStream")
    assert {"name": CART, "revision": 1} in [{key: each[key] for key in ("name", "revision")} for each in listed["services"]]
    assert sorted(each["name"] for each in era.shown(f"/deployments/{deployment['id']}")["services"]) == sorted(
        each["name"] for each in deployment["services"]
    )
    kinds = {each["name"].removeprefix(f"{PREFIX}."): each["instance_type"] for each in era.shown("/services")["services"]}
    expected = {"Plain": "Unkeyed", "Counter": "Keyed", "shop.Board": "Singleton", "java.Cart": "Keyed"}
    assert {name: kinds[name] for name in expected} == expected
    assert era.shown(f"/services/{CART}")["deployment_id"] == deployment["id"]


def test_methods_and_descriptors_are_shown(era: Era) -> None:
    order = {"name": "Order", "input_type": f"{PREFIX}.shop.OrderRequest", "output_type": f"{PREFIX}.shop.Receipt", "key_field_number": 7}
    assert era.shown(f"/services/{CART}/methods/Order") == order
    assert order in era.shown(f"/services/{CART}/methods")["methods"]
    whole = FileDescriptorSet.FromString(era.ask("GET", f"/deployments/{era.deployment['id']}/descriptors").content)
    assert f"{PREFIX}/shop.proto" in [file.name for file in whole.file]
    answer = era.ask("GET", f"/services/{CART}/descriptors")
    assert answer.headers["content-type"] == "application/x-protobuf"
    files = [FileDescriptorProto.FromString(answer.content[begin:end]) for _, _, _, begin, end in fields(answer.content)]
    assert [service.name for file in files for service in file.service] == ["Cart", "Board", "Desk"]


def test_a_dry_run_registers_nothing(era: Era) -> None:
    before = era.shown("/deployments")
    answer = era.ask("POST", "/deployments", {"uri": era.seed.endpoint.url, "force": True, "dry_run": True})
    assert answer.status_code == 201
    assert {each["revision"] for each in answer.json()["services"]} == {2}
    assert era.shown("/deployments") == before


def test_a_private_service_answers_handlers_only(era: Era, tag: str) -> None:
    assert era.ask("PATCH", f"/services/{CART}", {"public": False}).json()["public"] is False
    refused = eventually(
        lambda: next((each for each in [era.seed.post("shop.Cart/Add", {"id": tag, "amount": 1})] if each.status_code != 200), None),
        "the ingress knows that it is private",
    )
    assert (refused and (refused.status_code, refused.json()["code"])) == (403, "permission_denied")
    assert era.seed.result("shop.Desk/AddTwice", {"id": f"{tag}-inside", "amount": 2}) == {"value": "4"}
    assert era.ask("PATCH", f"/services/{CART}", {"public": True}).json()["public"] is True
    eventually(lambda: era.seed.post("shop.Cart/Add", {"id": tag, "amount": 1}).status_code == 200, "it is public again")


def test_state_is_replaced_if_it_is_still_what_was_seen(era: Era, tag: str) -> None:
    assert era.seed.rpc("Counter/add", 5, key=tag) == 5
    part = (0).to_bytes(8) + b"\x01value\x025\x03"
    version = base64.urlsafe_b64encode(hashlib.sha256(part).digest()).decode().rstrip("=")
    for number, expected in ((b"7", "no version of ours"), (b"8", version)):
        body = {"version": expected, "service_key": tag, "new_state": {"value": list(number)}}
        assert era.ask("POST", f"/services/{PREFIX}.Counter/state", body).status_code == 202
    assert era.seed.rpc("Counter/get", key=tag) == 8


def test_invocations_are_cancelled_and_killed_and_a_malformed_mode_refused(era: Era, tag: str) -> None:
    cancelled, killed = (era.seed.send("Plain/survive", f"{tag}-{mode}") for mode in ("cancel", "kill"))
    for mode in ("cancel", "kill"):
        era.seed.endpoint.wait_for_effect(f"{tag}-{mode}-attempts", "waiting")
    assert era.ask("DELETE", f"/invocations/{cancelled}").status_code == 202
    era.seed.endpoint.wait_for_effect(f"{tag}-cancel", "compensated")
    era.seed.end(killed, "Kill")
    assert era.seed.suite.attach(killed).json()["message"] == "killed"
    assert "compensated" not in era.seed.endpoint.effects(f"{tag}-kill")
    assert era.ask("DELETE", f"/invocations/{killed}?mode=other").status_code == 400
    assert era.ask("DELETE", "/invocations/inv_1x").status_code == 400


def test_sql_is_answered_in_arrow_with_the_tables_of_the_time(era: Era, tag: str) -> None:
    held = era.seed.send("Counter/hold", None, key=tag)
    era.seed.awakeable(tag)
    query = f"SELECT id, service, method, service_key, status FROM sys_status WHERE service_key = '{tag}'"
    answer = era.ask("POST", "/query", {"query": query})
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    (row,) = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    assert (row["id"], row["service"], row["method"], row["service_key"]) == (held, f"{PREFIX}.Counter", "hold", tag)
    era.seed.end(held, "kill")


def test_records_of_kafka_become_keyed_events(era: Era, tag: str) -> None:
    source, sinks = f"kafka://mine/{tag}", [f"service://{PREFIX}.Counter/happened", "service://java.Cart/Happened"]
    era.kafka.produce(tag, [(tag, b'"first"'), (f"{tag}-other", b'{"a": 1}'), (tag, b'"second"')])
    created: list[dict[str, Any]] = []
    for sink in sinks:
        answer = era.ask("POST", "/subscriptions", {"source": source, "sink": sink, "options": era.kafka.start_options})
        assert (answer.status_code, located(answer)) == (201, f"/subscriptions/{answer.json()['id']}")
        created.append(answer.json())
    assert created[0]["options"]["group.id"] == created[0]["id"]
    eventually(lambda: era.seed.rpc("Counter/lastEvent", key=tag) == "second", "both events of a key arrive in order")
    eventually(lambda: era.seed.rpc("Counter/lastEvent", key=f"{tag}-other") == {"a": 1}, "the event of another key arrives")

    def lines() -> list[dict[str, Any]]:
        return era.seed.suite.result("/java.Cart/Show", {"cartId": tag})["lines"]

    eventually(lambda: len(lines()) == 2, "a method with fields of its own gets each record once")
    assert [line["itemName"] for line in lines()] == ["first", "second"]
    assert lines()[0]["labels"] == {"offset": 0}
    found = era.ask("GET", "/subscriptions", params={"sink": sinks[0], "source": source}).json()["subscriptions"]
    assert [each["id"] for each in found] == [created[0]["id"]]
    for each in created:
        assert era.ask("DELETE", f"/subscriptions/{each['id']}").status_code == 202


def test_a_deployment_that_serves_is_removed_only_by_force(era: Era, tag: str) -> None:
    (java,) = [each["id"] for each in era.shown("/deployments")["deployments"] if each["id"] != era.deployment["id"]]
    assert era.ask("DELETE", f"/deployments/{java}").status_code == 409
    assert era.ask("DELETE", f"/deployments/{java}?force=true").status_code == 202
    assert era.ask("GET", f"/deployments/{java}").status_code == 404
    eventually(lambda: era.seed.suite.call("/java.Cart/Show", {"cartId": tag}).status_code == 404, "its services are gone")
