"""Subscriptions on real processes: every record's effect exactly once and in order, whoever is killed; and what can go wrong is told."""

import json
import random
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.contract.subscriptions.brokers import BrokerProcess, KafkaCluster, StreamServer
from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite, ours_only

pytestmark = pytest.mark.timeout(180)
RECORDS: Final = 10_000
KEYS: Final = 40
PER_KEY: Final = RECORDS // KEYS
KILLS: Final = 4


class Running:
    """A server of two invokers with the services registered, and both brokers."""

    def __init__(self, suite: Suite, kafka: KafkaCluster, jetstream: StreamServer) -> None:
        self.suite = suite
        self.brokers: dict[str, BrokerProcess] = {"kafka": kafka, "nats": jetstream}

    def subscribe(self, broker: str, topic: str, handler: str = "note", **options: str) -> str:
        body = {"source": f"{broker}://mine/{topic}", "sink": f"service://Ledger/{handler}", "options": options}
        answer = self.suite.http.post(f"{self.suite.admin_url}/subscriptions", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def shown(self, subscription_id: str) -> dict[str, Any]:
        return self.suite.http.get(f"{self.suite.admin_url}/subscriptions/{subscription_id}").json()

    def values(self, key: str) -> list[int]:
        return self.suite.result(f"/Ledger/{key}/values")

    def wait_for(self, keys: list[str], count: int) -> None:
        """Wait until each key has seen so many values."""
        for key in keys:
            eventually(lambda: len(self.values(key)) >= count, f"{count} values of {key}", limit_s=90, pause_s=0.1)  # noqa: B023


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("subscriptions")
    kafka, jetstream = KafkaCluster(), StreamServer(directory)
    clusters = {
        "PERDURE_KAFKA_CLUSTERS": json.dumps({"mine": kafka.properties}),
        "PERDURE_NATS_CLUSTERS": json.dumps({"mine": jetstream.properties}),
        "RESTATE_INGRESS__KAFKA_CLUSTERS": f'[{{name="mine",brokers=["PLAINTEXT://{kafka.properties["bootstrap.servers"]}"]}}]',
    }
    endpoint, suite = Endpoint("tests.kill.subscribed:app", directory), Suite(directory / "data", invokers=2, env=clusters)
    try:
        endpoint.start()
        suite.start()
        suite.register(endpoint.url)
        yield Running(suite, kafka, jetstream)
    finally:
        suite.close()
        endpoint.stop()
        kafka.kill()
        jetstream.kill()


@ours_only
@pytest.mark.parametrize("kind", ["kafka", "nats"])
def test_every_record_counts_once_and_in_order_when_invokers_are_killed(running: Running, tag: str, seed: int, kind: str) -> None:
    suite, broker, rng = running.suite, running.brokers[kind], random.Random(seed)
    topic, keys = f"{tag}-records", [f"{tag}-{number}" for number in range(KEYS)]
    broker.create(topic)
    running.subscribe(kind, topic, **broker.start_options)
    messages = [(keys[number % KEYS], b"%d" % (number // KEYS)) for number in range(RECORDS)]
    for part in range(KILLS):
        broker.produce(topic, messages[part * RECORDS // KILLS : (part + 1) * RECORDS // KILLS])
        running.wait_for(keys[:1], part * PER_KEY // KILLS + rng.randrange(1, PER_KEY // KILLS))
        eventually(lambda: len(suite.processes("invoker")) == 2, "both invokers run")
        rng.choice(suite.processes("invoker")).kill()
    running.wait_for(keys, PER_KEY)
    assert {key: running.values(key) for key in keys} == {key: list(range(PER_KEY)) for key in keys}
    suite.check()


def test_a_handler_is_told_where_a_record_is_from(running: Running, tag: str) -> None:
    broker = running.brokers["kafka"]
    broker.produce(tag, [(tag, b'{"item": 1}')])
    subscription_id = running.subscribe("kafka", tag, "show", **broker.start_options)
    value, headers = eventually(lambda: running.suite.result(f"/Ledger/{tag}/shown"), "the record arrives")
    assert value == {"item": 1}
    assert (headers["kafka.topic"], headers["kafka.offset"], headers["restate.subscription.id"]) == (tag, "0", subscription_id)
    rows = running.suite.rows(f"select invoked_by, invoked_by_subscription_id from sys_invocation where target_service_key = '{tag}'")
    assert {"invoked_by": "subscription", "invoked_by_subscription_id": subscription_id} in rows


@ours_only
@pytest.mark.parametrize("kind", ["kafka", "nats"])
def test_a_source_that_is_not_there_is_told_and_read_once_it_is(running: Running, tag: str, kind: str) -> None:
    broker = running.brokers[kind]
    subscription_id = running.subscribe(kind, tag, **broker.start_options)
    (note,) = eventually(lambda: running.shown(subscription_id).get("info"), "the failure is shown")
    assert tag in note["message"]
    broker.create(tag)
    broker.produce(tag, [(tag, b"1")])
    running.wait_for([tag], 1)
    eventually(lambda: "info" not in running.shown(subscription_id), "the failure is over")


@ours_only
def test_a_paused_subscription_goes_on_where_it_was(running: Running, tag: str) -> None:
    broker = running.brokers["nats"]
    broker.create(tag)
    path = f"{running.suite.admin_url}/subscriptions/{running.subscribe('nats', tag)}"
    broker.produce(tag, [(tag, b"1")])
    running.wait_for([tag], 1)
    assert running.suite.http.patch(f"{path}/pause").json()["info"] == [{"message": "It is paused."}]
    broker.produce(tag, [(tag, b"2")])
    beside = f"{tag}-beside"
    running.subscribe("nats", tag, **{"key.header": "none", "filter.subject": f"{tag}.{beside}"})
    broker.produce(tag, [(beside, b"3")])
    running.wait_for([""], 1)  # another subscription of the stream has read past the record
    assert running.values(tag) == [1]
    assert running.suite.http.patch(f"{path}/resume").status_code == 200
    running.wait_for([tag, beside], 1)
    running.wait_for([tag], 2)
    assert running.values(tag) == [1, 2]


def test_nothing_is_admitted_once_a_subscription_is_deleted(running: Running, tag: str) -> None:
    broker = running.brokers["kafka"]
    broker.produce(tag, [(tag, b"1")])
    deleted = running.subscribe("kafka", tag, **broker.start_options)
    running.wait_for([tag], 1)
    assert running.suite.http.delete(f"{running.suite.admin_url}/subscriptions/{deleted}").status_code == 202
    broker.produce(tag, [(tag, b"2")])
    witness = running.subscribe("kafka", tag, "show", **broker.start_options)
    shown = eventually(lambda: running.suite.result(f"/Ledger/{tag}/shown"), "another subscription reads the topic")
    assert shown[1]["restate.subscription.id"] == witness
    eventually(lambda: running.suite.result(f"/Ledger/{tag}/shown")[0] == 2, "it has read past the record")
    assert running.values(tag) == [1]
