"""Services of SDK 0.8.1, routers and protobuf services, called over gRPC, gRPC-Web, Connect and the era's JSON."""

from collections.abc import Iterator

import grpc
import pytest

from tests.e2e.rpc_clients import Reflected, failure_of
from tests.e2e.seed import Seed, serving
from tests.e2e.suite import Suite

pytestmark = pytest.mark.usefixtures("seed")

PREFIX = "rpcseed"


@pytest.fixture(scope="module")
def seed(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seed]:
    """The services on the SDK of spring 2024."""
    with serving(suite, tmp_path_factory.mktemp("node-seed"), PREFIX) as seed:
        suite.register(seed.endpoint.url)
        yield seed


def test_protobuf_services_are_called_by_a_client_that_knows_only_reflection(client: Reflected, tag: str) -> None:
    assert client.call(f"{PREFIX}.shop.Cart/Add", id=tag, amount=5).value == 5
    assert client.call(f"{PREFIX}.shop.Cart/Add", id=tag, amount=2).value == 7
    assert client.call(f"{PREFIX}.shop.Cart/Order", number=3, cart_id=tag).text == f"order 3 of {tag}: 7"
    assert client.call(f"{PREFIX}.shop.Desk/AddTwice", id=f"{tag}-twice", amount=4).value == 8
    before = client.call(f"{PREFIX}.shop.Board/Post", text="a").value
    assert client.call(f"{PREFIX}.shop.Board/Post", text="b").value == before + 1


def test_routers_with_dotted_names_are_called_by_a_client_that_knows_only_reflection(client: Reflected, tag: str) -> None:
    assert client.call(f"{PREFIX}.Plain/hello", request={"string_value": "Ada"}).response.string_value == "Hello Ada"
    assert client.call(f"{PREFIX}.Counter/add", key=tag, request={"number_value": 5}).response.number_value == 5


def test_routers_are_called_with_the_json_of_the_era(seed: Seed, tag: str) -> None:
    assert seed.result("Plain/hello", {"request": "Ada"}) == {"response": "Hello Ada"}
    assert seed.result("Counter/add", {"key": tag, "request": 5}) == {"response": 5}
    assert seed.result("Plain/nothing", {}) == {}
    keyless = seed.post("Counter/add", {"request": 5})
    assert (keyless.status_code, keyless.json()["code"]) == (500, "internal")


@pytest.mark.parametrize(("code", "name", "status"), [(5, "not_found", 404), (9, "failed_precondition", 412), (13, "internal", 500)])
def test_the_failure_of_a_handler_is_its_status(client: Reflected, seed: Seed, code: int, name: str, status: int) -> None:
    refused = seed.post("Plain/fail", {"request": code})
    assert (refused.status_code, refused.json()) == (status, {"code": name, "message": "it cannot be done"})
    error = failure_of(lambda: client.call(f"{PREFIX}.Plain/fail", request={"number_value": code}))
    assert (error.code().value[0], error.details()) == (code, "it cannot be done")


def test_an_awakeable_is_completed_through_the_ingress(client: Reflected, seed: Seed, tag: str) -> None:
    suite = seed.suite
    calls = [
        ("Resolve", {"json_result": {"ok": True}}, 200, b"ok"),
        ("Reject", {"reason": "no"}, 500, b"no"),
    ]
    for number, (method, fields, status, text) in enumerate(calls):
        own = f"{tag}-{number}"
        started = seed.send("Plain/hold", own)
        assert started.startswith("inv_1")
        held = client.channel.unary_unary("/dev.restate.Awakeables/Resolve")
        assert failure_of(lambda held=held: held(b"\x0a\x03bad", timeout=60)).code() is grpc.StatusCode.INVALID_ARGUMENT
        assert suite.result(f"/dev.restate.Awakeables/{method}", {"id": seed.awakeable(own), **fields}) == {}
        answer = suite.attach(started)
        assert (answer.status_code, text in answer.content) == (status, True)


def test_an_idempotency_key_gives_the_first_result_again(seed: Seed, tag: str) -> None:
    head = {"idempotency-key": tag, "idempotency-retention-period": "60"}
    answers = [seed.post("Counter/add", {"key": tag, "request": 1}, headers=head) for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"response": 1}] * 2
    assert "idempotency-expires" in answers[0].headers
