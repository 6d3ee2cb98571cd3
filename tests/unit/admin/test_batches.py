"""Operators' actions on many invocations through the application."""

from pathlib import Path
from typing import Any

import pytest

from perdure.base.ids import InvocationId, format_invocation_id, invocation_id
from perdure.bus.messages import InvocationFilter, Operate, Operated, OperateMany
from tests.unit.admin.harness import ALL, Admin, Owner, with_admin

PATH = "/internal/invocations_batch_operations"
IDS = [invocation_id(number << 60, bytes(16)) for number in range(4)]
TEXTS = [format_invocation_id(each) for each in IDS]
NEW_ID = invocation_id(1 << 62, bytes(range(16)))


def outcomes(by_id: dict[InvocationId, str]) -> Any:
    def answer(request: Operate) -> Operated:
        outcome = by_id[request.invocation_id]
        return Operated(request.request_id, outcome, NEW_ID if request.action == "restart_as_new" and outcome == "done" else None)

    return answer


@pytest.mark.parametrize(
    ("operation", "outcome", "reason"),
    [
        ("kill", "already_completed", "was already completed"),
        ("cancel", "already_completed", "was already completed"),
        ("purge", "not_completed", "is not yet completed"),
        ("purge-journal", "not_completed", "is not yet completed"),
        ("pause", "not_running", "is not running, cannot be paused"),
        ("resume", "not_started", "is either inboxed or scheduled, cannot be resumed"),
        ("kill", "not_found", "not found"),
    ],
)
def test_each_listed_invocation_has_its_outcome(tmp_path: Path, operation: str, outcome: str, reason: str) -> None:
    async def test(admin: Admin) -> None:
        await Owner(admin.bus, "one", outcomes({IDS[0]: "done", IDS[1]: outcome, IDS[2]: "appended"})).start()
        answer = await admin.http.post(f"/v4{PATH}/{operation}", json={"invocation_ids": TEXTS[:3]})
        assert answer.status_code == 200
        assert answer.json() == {
            "succeeded": [TEXTS[0], TEXTS[2]],
            "failed": [{"invocation_id": TEXTS[1], "error": f"Invocation '{TEXTS[1]}' {reason}"}],
        }

    with_admin(tmp_path, test)


def test_copies_are_named_beside_their_originals(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await Owner(admin.bus, "one", outcomes({IDS[0]: "done", IDS[1]: "no_journal"})).start()
        answer = await admin.http.post(f"{PATH}/restart-as-new", json={"invocation_ids": TEXTS[:2]})
        assert answer.json()["succeeded"] == [{"old_invocation_id": TEXTS[0], "new_invocation_id": format_invocation_id(NEW_ID)}]
        [failed] = answer.json()["failed"]
        assert failed["error"].startswith(f"Invocation '{TEXTS[1]}' cannot be restarted because the input is not available.")

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("operation", "body", "status", "text"),
    [
        ("kill", {}, 422, "missing field `invocation_ids`"),
        ("kill", {"invocation_ids": ["x"]}, 422, "invocation_ids[0]: bad format"),
        ("kill", {"invocation_ids": TEXTS[:1] * 1001}, 400, "Batch size 1001 exceeds maximum allowed size of 1000"),
        ("resume", {"invocation_ids": [], "deployment": "x"}, 400, "The request field 'deployment' is invalid. Reason: bad format"),
        ("kill", {"filter": {"service": ["a"]}}, 422, "unknown field `service`"),
        ("kill", {"filter": {"statuses": ["ended"]}}, 400, "unknown status 'ended'"),
        ("restart-as-new", {"filter": {}}, 400, "by filter, invocations can be neither restarted nor moved"),
        ("resume", {"filter": {}, "deployment": "latest"}, 400, "by filter, invocations can be neither restarted nor moved"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_as_a_whole(tmp_path: Path, operation: str, body: dict[str, Any], status: int, text: str) -> None:
    async def test(admin: Admin) -> None:
        owner = await Owner(admin.bus, "one", lambda request: Operated(request.request_id, "done")).start()
        answer = await admin.http.post(f"{PATH}/{operation}", json=body)
        assert answer.status_code == status
        assert text in answer.text
        assert owner.taken == []

    with_admin(tmp_path, test)


def test_an_empty_batch_and_a_wrong_path_or_method(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        empty = await admin.http.post(f"{PATH}/kill", json={"invocation_ids": []})
        assert (empty.status_code, empty.json()) == (200, {"succeeded": [], "failed": []})
        assert (await admin.http.get(f"{PATH}/kill")).status_code == 405
        assert (await admin.http.post(f"{PATH}/nope", json={})).status_code == 404

    with_admin(tmp_path, test)


def test_a_filter_goes_to_the_owner_of_every_partition(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        owner = await Owner(admin.bus, "one", lambda request: Operated(request.request_id, "accepted")).start()
        wanted = {"services": ["A"], "statuses": ["running", "pending", "ready"]}
        answer = await admin.http.post(f"{PATH}/cancel", json={"filter": wanted})
        assert (answer.status_code, answer.json()) == (202, {"partitions": len(ALL)})
        assert all(isinstance(each, OperateMany) for each in owner.taken)
        assert sorted(each.partition for each in owner.taken) == ALL
        assert {(each.action, each.filter) for each in owner.taken} == {
            ("cancel", InvocationFilter(services=("A",), statuses=("invoked", "inboxed")))
        }

    with_admin(tmp_path, test)
