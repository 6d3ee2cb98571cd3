"""Changing the state of an object from outside; the real server answers all of this alike."""

import base64
import hashlib
import json
from typing import Any

import httpx

from tests.e2e.conftest import Services
from tests.e2e.processes import eventually


def mutate(services: Services, service: str, **body: Any) -> httpx.Response:
    return services.suite.http.post(f"{services.suite.admin_url}/services/{services.prefix}{service}/state", json=body)


def version_of(entries: dict[str, str]) -> str:
    text = b"".join(
        number.to_bytes(8, "big") + b"\x01" + name.encode() + b"\x02" + value.encode() + b"\x03"
        for number, (name, value) in enumerate(sorted(entries.items()))
    )
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode().rstrip("=")


def test_a_mutation_replaces_the_whole_state(http2: Services, tag: str) -> None:
    suite, path = http2.suite, http2.path
    suite.result(path("Journal", tag, "append"), 1)
    assert mutate(http2, "Journal", object_key=tag, new_state={"order": "[7]", "bytes": list(b"8")}).status_code == 202
    read = path("Journal", tag, "read")
    eventually(lambda: suite.result(read) == {"order": [7], "keys": ["bytes", "order"]}, "the state is replaced")
    suite.result(path("Journal", tag, "append"), 8)
    assert suite.result(read)["order"] == [7, 8]
    assert mutate(http2, "Journal", object_key=tag, new_state={}).status_code == 202
    eventually(lambda: suite.result(read) == {"order": None, "keys": []}, "the state is cleared")


def test_a_mutation_waits_in_the_inbox_behind_what_came_before(http2: Services, tag: str) -> None:
    suite, path = http2.suite, http2.path
    holding = suite.send(path("Journal", tag, "hold_lock"), tag)
    http2.endpoint.wait_for_effect_count(tag, 1)
    suite.send(path("Journal", tag, "append"), 1)
    assert mutate(http2, "Journal", object_key=tag, new_state={"order": "[2]"}).status_code == 202
    last = suite.send(path("Journal", tag, "append"), 3)
    assert suite.result(path("Journal", tag, "read")) == {"order": None, "keys": []}
    suite.call(f"/restate/awakeables/{http2.endpoint.effects(tag)[0]}/resolve", "free")
    assert suite.attach(holding).status_code == suite.attach(last).status_code == 200
    assert suite.result(path("Journal", tag, "read")) == {"order": [2, 3], "keys": ["item-0003", "order"]}


def test_a_mutation_of_another_version_is_dropped(http2: Services, tag: str) -> None:
    suite, path = http2.suite, http2.path
    suite.result(path("Counter", tag, "add"), 5)
    for version, value in ((version_of({"value": "5"}), "6"), (version_of({"value": "5"}), "9"), (version_of({"value": "6"}), "7")):
        assert mutate(http2, "Counter", object_key=tag, new_state={"value": value}, version=version).status_code == 202
    eventually(lambda: suite.result(path("Counter", tag, "get")) == 7, "the first and the last are applied")


def test_a_large_state_comes_whole(http2: Services, tag: str) -> None:
    suite = http2.suite
    assert mutate(http2, "Journal", object_key=tag, new_state={"order": json.dumps(list(range(200_000)))}).status_code == 202
    read = http2.path("Journal", tag, "read")
    eventually(lambda: suite.result(read)["order"] == list(range(200_000)), "the state is there")


def test_what_can_have_no_state_is_refused(http2: Services, tag: str) -> None:
    missing = mutate(http2, "Missing", object_key=tag, new_state={"a": "1"})
    assert (missing.status_code, missing.json()["message"]) == (404, f"The requested service '{http2.prefix}Missing' does not exist")
    assert mutate(http2, "Missing", object_key=tag, new_state={}).status_code == 202
    unkeyed = mutate(http2, "Greeter", object_key=tag, new_state={})
    assert (unkeyed.status_code, unkeyed.json()["message"]) == (400, "Cannot modify state for service type Service")
    assert mutate(http2, "Counter", new_state={}).status_code == 422
    assert mutate(http2, "Counter", object_key=tag, new_state={"a": 1}).status_code == 422
    assert mutate(http2, "Counter", object_key=tag, new_state={"a": [256]}).status_code == 422
