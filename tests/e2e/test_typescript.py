"""The greeter, the counter and steps on the TypeScript SDK."""

from concurrent.futures import ThreadPoolExecutor

from tests.e2e.conftest import Services


def test_a_typescript_greeter_greets(typescript: Services) -> None:
    assert typescript.suite.result(typescript.path("Greeter", "greet"), "Ada") == "Hello Ada"


def test_a_typescript_counter_counts_each_of_many_concurrent_calls(typescript: Services, tag: str) -> None:
    suite, add = typescript.suite, typescript.path("Counter", tag, "add")
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda amount: suite.result(add, amount), [1] * 40))
    assert sorted(results) == list(range(1, 41))
    assert suite.result(typescript.path("Counter", tag, "get")) == 40


def test_a_typescript_counter_is_cleared(typescript: Services, tag: str) -> None:
    suite = typescript.suite
    suite.result(typescript.path("Counter", tag, "add"), 5)
    suite.call(typescript.path("Counter", tag, "clear"))
    assert suite.result(typescript.path("Counter", tag, "add"), 1) == 1


def test_typescript_steps_run_once_and_in_order(typescript: Services, tag: str) -> None:
    result = typescript.suite.result(typescript.path("Steps", "run"), {"tag": tag, "count": 5})
    assert result == [0, 1, 4, 9, 16]
    assert typescript.endpoint.effects(tag) == [f"step-{number}" for number in range(5)]


def test_typescript_services_call_each_other(typescript: Services, tag: str) -> None:
    assert typescript.suite.result(typescript.path("Chain", "greet"), "Bo") == "Hello Bo"
    assert typescript.suite.result(typescript.path("Steps", "run_and_count"), {"tag": tag, "count": 2}) == 1
