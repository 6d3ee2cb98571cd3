"""Virtual objects: state, exclusive and shared handlers, and the order of the inbox."""

from tests.e2e.conftest import Services
from tests.e2e.processes import eventually


def test_a_counter_adds_up_under_its_key(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    assert [suite.result(path("Counter", tag, "add"), amount) for amount in (1, 2, 3)] == [1, 3, 6]
    assert suite.result(path("Counter", tag, "get")) == 6
    assert suite.result(path("Counter", f"{tag}-other", "get")) == 0


def test_a_cleared_counter_starts_at_zero(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    suite.result(path("Counter", tag, "add"), 5)
    assert suite.result(path("Counter", tag, "clear")) is None
    assert suite.result(path("Counter", tag, "add"), 2) == 2


def test_one_way_calls_to_one_key_run_in_the_order_they_were_accepted(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    sent = list(range(20))
    for item in sent:
        suite.send(path("Journal", tag, "append"), item)
    read = path("Journal", tag, "read")
    eventually(lambda: len(suite.result(read)["order"] or []) == len(sent), "all appended")
    assert suite.result(read) == {"order": sent, "keys": [f"item-{item:04}" for item in sent] + ["order"]}


def test_clear_all_leaves_no_state_key(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    suite.result(path("Journal", tag, "append"), 1)
    assert suite.result(path("Journal", tag, "erase")) == []
    assert suite.result(path("Journal", tag, "read")) == {"order": None, "keys": []}


def test_a_shared_handler_answers_while_an_exclusive_one_holds_the_lock(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    holding = suite.send(path("Journal", tag, "hold_lock"), tag)
    services.endpoint.wait_for_effect_count(tag, 1)
    appended = suite.send(path("Journal", tag, "append"), 7)
    assert suite.result(path("Journal", tag, "read")) == {"order": None, "keys": []}
    suite.call(f"/restate/awakeables/{services.endpoint.effects(tag)[0]}/resolve", "free")
    assert suite.attach(holding).json() == "free"
    assert suite.attach(appended).status_code == 200
    assert suite.result(path("Journal", tag, "read"))["order"] == [7]


def test_keys_are_decoded_once_and_may_hold_any_character(services: Services, tag: str) -> None:
    suite, path = services.suite, services.path
    assert suite.result(path("Counter", f"{tag}%2Fa%20b%C3%A9", "add"), 4) == 4
    assert suite.result(path("Counter", f"{tag}%2fa%20b%c3%a9", "get")) == 4
    assert suite.result(path("Counter", f"{tag}+a", "get")) == 0
