"""Services of SDK 0.8.1, routers and protobuf services, called over gRPC, gRPC-Web, Connect and the era's JSON."""

from collections.abc import Iterator

import grpc
import pytest

from tests.e2e.conftest import Services
from tests.e2e.endpoint import NODE, Endpoint
from tests.e2e.processes import REPOSITORY, eventually
from tests.e2e.rpc_clients import Reflected, failure_of
from tests.e2e.suite import Suite

ROOM = REPOSITORY / "tests/e2e/node-seed"
PREFIX = "rpcseed"


@pytest.fixture(scope="module")
def seed(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The services on the SDK of spring 2024."""
    if suite.peer:
        pytest.skip("the real server of today takes no deployment of the seed era")
    if not (ROOM / "node_modules").exists() or not NODE.exists():
        pytest.skip("@restatedev/restate-sdk 0.8.1 is not installed in tests/e2e/node-seed, or node is not in tests/e2e/node")
    endpoint = Endpoint(str(ROOM / "app.mjs"), tmp_path_factory.mktemp("node-seed"), prefix=PREFIX)
    try:
        endpoint.start()
        suite.register(endpoint.url)
        yield Services(suite, endpoint, f"{PREFIX}.")
    finally:
        endpoint.stop()


@pytest.fixture(scope="module")
def client(seed: Services) -> Iterator[Reflected]:
    """A client that knows what reflection tells."""
    reflected = Reflected(seed.suite.ingress_port)
    yield reflected
    reflected.close()


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


def test_routers_are_called_with_the_json_of_the_era(seed: Services, tag: str) -> None:
    suite = seed.suite
    assert suite.result(seed.path("Plain", "hello"), {"request": "Ada"}) == {"response": "Hello Ada"}
    assert suite.result(seed.path("Counter", "add"), {"key": tag, "request": 5}) == {"response": 5}
    assert suite.result(seed.path("Plain", "nothing"), {}) == {}
    keyless = suite.call(seed.path("Counter", "add"), {"request": 5})
    assert (keyless.status_code, keyless.json()["code"]) == (500, "internal")


@pytest.mark.parametrize(("code", "name", "status"), [(5, "not_found", 404), (9, "failed_precondition", 412), (13, "internal", 500)])
def test_the_failure_of_a_handler_is_its_status(client: Reflected, seed: Services, code: int, name: str, status: int) -> None:
    refused = seed.suite.call(seed.path("Plain", "fail"), {"request": code})
    assert (refused.status_code, refused.json()) == (status, {"code": name, "message": "it cannot be done"})
    error = failure_of(lambda: client.call(f"{PREFIX}.Plain/fail", request={"number_value": code}))
    assert (error.code().value[0], error.details()) == (code, "it cannot be done")


def _awakeable(seed: Services, tag: str) -> str | None:
    return next((what for what in seed.endpoint.effects(tag) if what.startswith("prom_1")), None)


def test_an_awakeable_is_completed_through_the_ingress(client: Reflected, seed: Services, tag: str) -> None:
    suite = seed.suite
    calls = [
        ("Resolve", {"json_result": {"ok": True}}, 200, b"ok"),
        ("Reject", {"reason": "no"}, 500, b"no"),
    ]
    for number, (method, fields, status, text) in enumerate(calls):
        own = f"{tag}-{number}"
        started = suite.result(
            "/dev.restate.Ingress/Invoke", {"service": f"{PREFIX}.Plain", "method": "hold", "argument": {"request": own}}
        )
        assert started["id"].startswith("inv_1")
        held = client.channel.unary_unary("/dev.restate.Awakeables/Resolve")
        assert failure_of(lambda held=held: held(b"\x0a\x03bad", timeout=60)).code() is grpc.StatusCode.INVALID_ARGUMENT
        awakeable = eventually(lambda own=own: _awakeable(seed, own), f"the awakeable of {own}")
        assert suite.result(f"/dev.restate.Awakeables/{method}", {"id": awakeable, **fields}) == {}
        answer = suite.attach(started["id"])
        assert (answer.status_code, text in answer.content) == (status, True)


def test_an_idempotency_key_gives_the_first_result_again(seed: Services, tag: str) -> None:
    head = {"idempotency-key": tag, "idempotency-retention-period": "60"}
    answers = [seed.suite.call(seed.path("Counter", "add"), {"key": tag, "request": 1}, headers=head) for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"response": 1}] * 2
    assert "idempotency-expires" in answers[0].headers
