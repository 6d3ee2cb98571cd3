"""Subscriptions and Kafka clusters over HTTP: what they look like, what is refused, and with which words."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from perdure.model.target import HandlerType, ServiceType
from perdure.registry.schema import read_schema
from tests.unit.admin.harness import KEYS, Admin, with_admin
from tests.unit.registry.builders import a_handler, a_service

SOURCE, SINK = "kafka://mine/orders", "service://Cart/add"
UNKNOWN_ID = "sub_10000000000000000000000"


async def prepared(admin: Admin) -> None:
    admin.endpoints.serve("http://a:1", a_service("Cart", ServiceType.VIRTUAL_OBJECT, a_handler("add", HandlerType.EXCLUSIVE)))
    await admin.register("http://a:1")
    answer = await admin.http.post("/kafka-clusters", json={"name": "mine", "properties": {"bootstrap.servers": "kafka:9092"}})
    assert answer.status_code == 201


async def create(admin: Admin, source: Any = SOURCE, sink: Any = SINK, **fields: Any) -> httpx.Response:
    return await admin.http.post("/subscriptions", json={"source": source, "sink": sink, **fields})


def refusal(answer: httpx.Response) -> tuple[int, str | None, str]:
    return answer.status_code, answer.json()["restate_code"], answer.json()["message"]


def test_a_subscription_is_created_shown_listed_and_removed(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        created = await create(admin, options={"auto.offset.reset": "earliest", "sasl.password": "hush"})
        shown = created.json()
        assert created.status_code == 201
        assert created.headers["location"] == f"subscriptions/{shown['id']}"
        assert shown == {
            "id": shown["id"],
            "source": SOURCE,
            "sink": SINK,
            "options": {"group.id": shown["id"], "client.id": "restate", "auto.offset.reset": "earliest", "sasl.password": "***"},
        }
        path = f"/subscriptions/{shown['id']}"
        assert (await admin.http.get(path)).json() == shown
        assert (await admin.http.get("/subscriptions")).json() == {"subscriptions": [shown]}
        assert (await admin.http.delete(path)).status_code == 202
        assert (await admin.http.get("/subscriptions")).json() == {"subscriptions": []}
        assert refusal(await admin.http.get(path)) == (404, None, f"The requested subscription '{shown['id']}' does not exist")
        text = f"not found in the schema registry: subscription with id '{shown['id']}'"
        assert refusal(await admin.http.delete(path)) == (404, None, text)

    with_admin(tmp_path, test)


def test_a_query_in_a_uri_says_nothing(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        created = (await create(admin, f"{SOURCE}?x=1", f"{SINK}?y")).json()
        assert (created["source"], created["sink"]) == (SOURCE, SINK)

    with_admin(tmp_path, test)


def test_the_list_shows_what_has_exactly_this_source_and_sink(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        orders = (await create(admin)).json()
        stream = (await create(admin, "nats://own/EVENTS")).json()
        for query, expected in (
            ({"source": SOURCE}, [orders]),
            ({"sink": SINK}, [orders, stream]),
            ({"source": SOURCE, "sink": "service://cart/add"}, []),
            ({"other": "1"}, [orders, stream]),
        ):
            listed = (await admin.http.get("/subscriptions", params=query)).json()["subscriptions"]
            assert sorted(each["id"] for each in listed) == sorted(each["id"] for each in expected)

    with_admin(tmp_path, test)


def test_what_the_cluster_says_of_the_group_is_not_overridden(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        await admin.http.patch("/kafka-clusters/mine", json={"properties": {"bootstrap.servers": "a:1", "group.id": "ours"}})
        assert (await create(admin)).json()["options"] == {"client.id": "restate"}
        assert (await create(admin, options={"group.id": "own"})).json()["options"] == {"client.id": "restate", "group.id": "own"}

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("source", "sink", "reason"),
    [
        ("http://mine/t", SINK, "invalid source URI 'http://mine/t': must have a scheme segment, with supported schemes: [kafka, nats]."),
        ("kafka://mine", SINK, "invalid source URI 'kafka://mine': must name a cluster and, as its path, a topic or stream."),
        ("kafka://mine/a/b", SINK, "invalid source URI 'kafka://mine/a/b': must name a cluster and, as its path, a topic or stream."),
        (SOURCE, "http://Cart/add", "invalid sink URI 'http://Cart/add': must have a scheme segment, with supported schemes: [service]."),
        (SOURCE, "service://Cart", "invalid sink URI 'service://Cart/': cannot find service/handler specified in the sink URI."),
        (SOURCE, "service://Cart/no", "invalid sink URI 'service://Cart/no': cannot find service/handler specified in the sink URI."),
        (SOURCE, "service://No/add", "invalid sink URI 'service://No/add': cannot find service/handler specified in the sink URI."),
    ],
)
def test_a_source_or_sink_that_cannot_be_is_refused(tmp_path: Path, source: str, sink: str, reason: str) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        assert refusal(await create(admin, source, sink)) == (400, "META0009", f"[META0009] {reason}")
        assert (await admin.http.get("/subscriptions")).json() == {"subscriptions": []}

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"deliver.polcy": "new"},
            "a subscription of a stream has no option 'deliver.polcy'; there are deliver.policy, filter.subject, key.header",
        ),
        ({"deliver.policy": "last"}, "deliver.policy is 'last'; it can be all or new"),
    ],
)
def test_options_that_no_stream_has_are_refused(tmp_path: Path, options: dict[str, str], reason: str) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        assert refusal(await create(admin, "nats://js/t", options=options)) == (400, "META0009", f"[META0009] {reason}")
        assert (await create(admin, "nats://js/t", options={"deliver.policy": "new", "key.header": "k"})).status_code == 201

    with_admin(tmp_path, test)


def test_a_cluster_that_nobody_knows_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        text = 'Kafka cluster \'no\' not found. Available clusters: ["mine", "static"]'
        assert refusal(await create(admin, "kafka://no/t")) == (400, None, text)
        text = 'NATS cluster \'no\' not found. Available clusters: ["js", "own"]'
        assert refusal(await create(admin, "nats://no/t")) == (400, None, text)

    with_admin(tmp_path, test)


@pytest.mark.parametrize("fields", [{"source": "not a uri"}, {"source": "kafka:///t"}, {"sink": 1}, {"options": {"a": 1}}])
def test_a_body_of_another_form_is_answered_as_text(tmp_path: Path, fields: dict[str, Any]) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        answer = await create(admin, **fields)
        assert answer.status_code == 422
        assert answer.text.startswith("Failed to deserialize the JSON body into the target type: ")

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("text", "reason"), [("bad", "bad format"), ("sub_1bad", "bad length"), ("dp_1a", "id doesn't match the expected type")]
)
def test_an_id_that_cannot_be_is_answered_as_text(tmp_path: Path, text: str, reason: str) -> None:
    async def test(admin: Admin) -> None:
        for method in ("GET", "DELETE"):
            answer = await admin.http.request(method, f"/subscriptions/{text}")
            assert (answer.status_code, answer.text) == (400, f"Invalid URL: Cannot parse `subscription` with value `{text}`: {reason}")

    with_admin(tmp_path, test)


def test_a_subscription_says_that_it_is_paused_or_why_it_does_not_read(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        path = f"/subscriptions/{(await create(admin)).json()['id']}"
        assert (await admin.http.patch(f"{path}/pause")).json()["info"] == [{"message": "It is paused."}]
        assert "info" not in (await admin.http.patch(f"{path}/resume")).json()
        admin.failures[path.rpartition("/")[2]] = "no broker answers"
        assert (await admin.http.get(path)).json()["info"] == [{"message": "no broker answers"}]
        assert (await admin.http.patch(f"/subscriptions/{UNKNOWN_ID}/pause")).status_code == 404

    with_admin(tmp_path, test)


def test_a_kafka_cluster_is_registered_changed_and_removed(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        properties = {"bootstrap.servers": "a:1", "sasl.username": "u", "sasl.mechanism": "PLAIN", "ssl.key.pem": "k"}
        created = await admin.http.post("/kafka-clusters", json={"name": "mine", "properties": properties})
        assert created.headers["location"] == "kafka-clusters/mine"
        assert created.json()["properties"] == {**properties, "sasl.username": "***", "ssl.key.pem": "***"}
        changed = await admin.http.patch("/kafka-clusters/mine", json={"properties": {"metadata.broker.list": "b:1"}})
        assert changed.json() == {**created.json(), "properties": {"metadata.broker.list": "b:1"}}
        assert (await admin.http.get("/kafka-clusters/mine")).json() == {**changed.json(), "subscriptions": []}
        assert (await admin.http.delete("/kafka-clusters/mine")).status_code == 202
        text = "The requested Kafka cluster 'mine' does not exist"
        assert refusal(await admin.http.get("/kafka-clusters/mine")) == (404, None, text)

    with_admin(tmp_path, test)


def test_a_cluster_in_use_is_removed_by_force_only(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        reader = (await create(admin)).json()
        shown = (await admin.http.get("/kafka-clusters/mine", params={"include_subscriptions": "true"})).json()
        assert shown["subscriptions"] == [reader]
        refused = await admin.http.delete("/kafka-clusters/mine")
        assert refused.status_code == 409
        assert f"leads to subscription '{reader['id']}' being orphan" in refused.json()["message"]
        assert (await admin.http.delete("/kafka-clusters/mine", params={"force": "true"})).status_code == 202
        assert (await admin.http.get(f"/subscriptions/{reader['id']}")).status_code == 200

    with_admin(tmp_path, test)


def test_clusters_of_the_configuration_are_shown_and_cannot_be_changed(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        (shown,) = (await admin.http.get("/kafka-clusters")).json()["clusters"]
        assert shown["properties"] == {"metadata.broker.list": "kafka:9092", "sasl.password": "***"}
        assert shown["info"]
        body = {"name": "static", "properties": {"bootstrap.servers": "a:1"}}
        for method, path in (("POST", "/kafka-clusters"), ("PATCH", "/kafka-clusters/static"), ("DELETE", "/kafka-clusters/static")):
            assert (await admin.http.request(method, path, json=body)).status_code == 409
        assert (await admin.http.get("/kafka-clusters/static")).json() == {**shown, "subscriptions": []}

    with_admin(tmp_path, test)


def test_refusals_of_clusters_have_the_known_words(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        good = {"bootstrap.servers": "a:1"}
        text = "kafka cluster 'x' properties must contain either 'bootstrap.servers' or 'metadata.broker.list'"
        assert refusal(await admin.http.post("/kafka-clusters", json={"name": "x", "properties": {}})) == (400, None, text)
        text = "kafka cluster 'mine' already exists in schema registry"
        assert refusal(await admin.http.post("/kafka-clusters", json={"name": "mine", "properties": good})) == (409, None, text)
        text = "not found in the schema registry: kafka cluster 'x'"
        assert refusal(await admin.http.patch("/kafka-clusters/x", json={"properties": good})) == (404, None, text)
        text = "not found in the schema registry: kafka cluster named 'x'"
        assert refusal(await admin.http.delete("/kafka-clusters/x")) == (404, None, text)
        text = "kafka cluster 'x' properties must contain either 'bootstrap.servers' or 'metadata.broker.list'"
        assert refusal(await admin.http.patch("/kafka-clusters/x", json={"properties": {}})) == (400, None, text)
        for name in ("", "a b", "a/b", "a?b", "a#b", "a\n", "ü", "漢"):
            assert (await admin.http.post("/kafka-clusters", json={"name": name, "properties": good})).status_code == 422, name

    with_admin(tmp_path, test)


def test_how_far_a_subscription_has_read_goes_with_it(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await prepared(admin)
        subscription_id = (await create(admin)).json()["id"]
        key = KEYS.position(subscription_id, 3)
        await admin.context.store.transact(lambda tr: tr.set(key, b"x"))
        await admin.http.delete(f"/subscriptions/{subscription_id}")
        assert await admin.context.store.read(lambda tr: tr.get(key)) is None
        assert (await admin.context.store.read(lambda tr: read_schema(tr, KEYS))).subscriptions == {}

    with_admin(tmp_path, test)
