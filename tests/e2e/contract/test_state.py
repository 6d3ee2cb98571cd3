"""State of objects: kept, cleared, listed, eager or lazy, and what a failure leaves of it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.contract.conftest import Contract


def test_state_is_kept_between_invocations(contract: Contract, key: str) -> None:
    assert contract.result("Counter", key, "get") == 0
    assert contract.result("Counter", key, "add", body=1) == {"oldValue": 0, "newValue": 1}
    assert contract.result("Counter", key, "add", body=2) == {"oldValue": 1, "newValue": 3}
    assert contract.result("Counter", key, "get") == 3


def test_cleared_state_is_gone(contract: Contract, key: str) -> None:
    contract.result("Counter", key, "add", body=5)
    contract.result("Counter", key, "reset")
    assert contract.result("Counter", key, "get") == 0


def test_keys_do_not_share_state(contract: Contract, key: str) -> None:
    contract.result("Counter", key, "add", body=5)
    assert contract.result("Counter", f"{key}-other", "get") == 0


@pytest.mark.parametrize("service", ["MapObject", "LazyMapObject"])
def test_all_entries_are_listed_and_cleared(contract: Contract, key: str, service: str) -> None:
    entries = [{"key": f"name-{number}", "value": f"value-{number}"} for number in range(5)]
    for entry in entries:
        contract.result(service, key, "set", body=entry)
    assert contract.result(service, key, "get", body="name-3") == "value-3"
    assert contract.result(service, key, "get", body="nope") == ""
    assert sorted(contract.result(service, key, "clearAll"), key=lambda entry: entry["key"]) == entries
    assert contract.result(service, key, "clearAll") == []


def test_a_list_keeps_the_order_of_its_items(contract: Contract, key: str) -> None:
    for item in ("a", "b", "c"):
        contract.result("ListObject", key, "append", body=item)
    assert contract.result("ListObject", key, "get") == ["a", "b", "c"]
    assert contract.result("ListObject", key, "clear") == ["a", "b", "c"]
    assert contract.result("ListObject", key, "get") == []


def test_concurrent_additions_to_one_key_are_made_one_after_another(contract: Contract, key: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: contract.result("Counter", key, "add", body=1), range(16)))
    assert sorted(answer["oldValue"] for answer in answers) == list(range(16))


def test_state_set_before_a_terminal_failure_stays(contract: Contract, key: str) -> None:
    answer = contract.call("Counter", key, "addThenFail", body=2)
    assert (answer.status_code, answer.json()["message"]) == (500, key)
    assert contract.result("Counter", key, "get") == 2
