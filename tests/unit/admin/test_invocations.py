"""Operators' actions: to the owner and back, with every answer that clients know."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from perdure.base.ids import InvocationId, format_invocation_id, invocation_id, partition_of
from perdure.bus.messages import (
    VERSION,
    Heartbeat,
    NotOwner,
    Operate,
    Operated,
    Overloaded,
    encode,
)
from perdure.model.invocation import InvocationRecord, Pin, Status
from perdure.model.target import HandlerType, Target
from perdure.store.chunks import set_chunked
from services.admin import owner_client
from tests.unit.admin.harness import ALL, KEYS, PARTITIONS, SUBJECTS, Admin, MemoryBus, Owner, announce, with_admin
from tests.unit.registry.builders import a_service

ID = invocation_id(1 << 62, bytes(range(16)))
TEXT = format_invocation_id(ID)
NEW_ID = invocation_id(1 << 62, bytes(16))


def beat(bus: MemoryBus, invoker_id: str, *, is_leaving: bool = False) -> None:
    bus.publish(SUBJECTS.heartbeats, encode(Heartbeat(VERSION, "invoker", invoker_id, "", "1", 0, partitions=ALL, is_leaving=is_leaving)))


def outcome(name: str, new_id: InvocationId | None = None) -> Callable[[Operate], Operated]:
    return lambda request: Operated(request.request_id, name, new_id)


def a_record(*, pin: Pin | None = None, status: Status = Status.PAUSED) -> InvocationRecord:
    return InvocationRecord(Target("Greeter", "greet", None, HandlerType.PLAIN), status, 1, 2, pin=pin)


async def stored(admin: Admin, record: InvocationRecord, *, has_ended: bool = False) -> None:
    keys = KEYS.partition(partition_of(ID, PARTITIONS))
    key = keys.invocation(ID) if has_ended else keys.unfinished(ID)
    await admin.context.store.transact(lambda tr: set_chunked(tr, key, msgspec.msgpack.encode(record)))


@pytest.mark.parametrize(
    ("path", "action", "result", "status", "message"),
    [
        ("cancel", "cancel", "appended", 202, ""),
        ("cancel", "cancel", "done", 200, ""),
        ("cancel", "cancel", "already_completed", 409, "The invocation '{}' was already completed."),
        ("cancel", "cancel", "not_found", 404, "The requested invocation '{}' does not exist"),
        ("kill", "kill", "done", 200, ""),
        ("kill", "kill", "already_completed", 409, "The invocation '{}' was already completed."),
        ("purge", "purge", "done", 200, ""),
        ("purge", "purge", "not_completed", 409, "The invocation '{}' is not yet completed."),
        ("purge-journal", "purge_journal", "done", 200, ""),
        ("purge-journal", "purge_journal", "not_completed", 409, "The invocation '{}' is not yet completed."),
        ("pause", "pause", "appended", 202, ""),
        ("pause", "pause", "already_paused", 200, ""),
        ("pause", "pause", "not_running", 409, "The invocation '{}' is not running, cannot be paused."),
        ("pause", "pause", "already_completed", 409, "The invocation '{}' is not running, cannot be paused."),
        ("resume", "resume", "done", 200, ""),
        ("resume", "resume", "not_started", 425, "The invocation '{}' is either inboxed or scheduled, cannot be resumed."),
        ("resume", "resume", "already_completed", 409, "The invocation '{}' is completed, cannot be resumed."),
        ("restart-as-new", "restart_as_new", "still_running", 409, "The invocation '{}' is still running."),
        ("restart-as-new", "restart_as_new", "not_started", 425, "The invocation '{}' cannot be restarted because it's not running yet."),
    ],
)
def test_each_outcome_has_its_answer(tmp_path: Path, path: str, action: str, result: str, status: int, message: str) -> None:
    async def test(admin: Admin) -> None:
        owner = await Owner(admin.bus, "one", outcome(result)).start()
        answer = await admin.http.patch(f"/v4/invocations/{TEXT}/{path}")
        assert answer.status_code == status
        assert [(each.action, each.invocation_id) for each in owner.taken] == [(action, ID)]
        if message:
            assert answer.json() == {"message": message.format(TEXT), "restate_code": None}
        else:
            assert answer.content == b""

    with_admin(tmp_path, test)


@pytest.mark.parametrize(("result", "status"), [("no_journal", 410), ("unsupported", 422), ("open_prefix", 400)])
def test_a_restart_may_be_refused_for_its_journal(tmp_path: Path, result: str, status: int) -> None:
    async def test(admin: Admin) -> None:
        await Owner(admin.bus, "one", outcome(result)).start()
        answer = await admin.http.patch(f"/invocations/{TEXT}/restart-as-new?from=3")
        assert answer.status_code == status
        assert TEXT in answer.json()["message"]

    with_admin(tmp_path, test)


def test_a_restart_names_the_copy(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        owner = await Owner(admin.bus, "one", outcome("done", NEW_ID)).start()
        answer = await admin.http.patch(f"/invocations/{TEXT}/restart-as-new?from=3&deployment=keep")
        assert (answer.status_code, answer.json()) == (200, {"new_invocation_id": format_invocation_id(NEW_ID)})
        assert [(each.from_entry, each.deployment) for each in owner.taken] == [(3, None)]

    with_admin(tmp_path, test)


def test_latest_is_the_deployment_of_the_service_now(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        admin.endpoints.serve("http://a:1", a_service("Greeter"))
        admin.endpoints.serve("http://b:1", a_service("Greeter"))
        older = (await admin.register("http://a:1")).json()["id"]
        latest = (await admin.register("http://b:1")).json()["id"]
        owner = await Owner(admin.bus, "one", outcome("done", NEW_ID)).start()
        await stored(admin, a_record(pin=Pin(older, 6)))
        for path in ("resume?deployment=Latest", f"resume?deployment={older}", "resume", "resume?deployment=keep"):
            assert (await admin.http.patch(f"/invocations/{TEXT}/{path}")).status_code == 200
        await stored(admin, a_record(pin=Pin(older, 6), status=Status.COMPLETED))
        assert (await admin.http.patch(f"/invocations/{TEXT}/restart-as-new")).status_code == 200
        assert [each.deployment for each in owner.taken] == [latest, older, None, None, latest]

    with_admin(tmp_path, test)


@pytest.mark.parametrize("has_ended", [True, False])
def test_a_deployment_that_does_not_fit_is_refused_before_the_owner_is_asked(tmp_path: Path, has_ended: bool) -> None:
    unknown = "dp_17f4GmlV2jAX6YvPFBOXnM5"

    async def test(admin: Admin) -> None:
        admin.endpoints.serve("http://a:1", a_service("Greeter"))
        known = (await admin.register("http://a:1")).json()["id"]
        owner = await Owner(admin.bus, "one", outcome("done")).start()
        await stored(admin, a_record(), has_ended=has_ended)
        not_pinned = await admin.http.patch(f"/invocations/{TEXT}/resume?deployment={known}")
        assert (not_pinned.status_code, "is not pinned yet" in not_pinned.text) == (409, True)
        await stored(admin, a_record(pin=Pin(known, 4)), has_ended=has_ended)
        too_old = await admin.http.patch(f"/invocations/{TEXT}/resume?deployment={known}")
        assert too_old.status_code == 400
        assert too_old.json()["message"] == (
            f"The invocation '{TEXT}' is running on protocol version '4', while the chosen deployment '{known}' supports the range 5..=7."
        )
        await stored(admin, a_record(pin=Pin(known, 6), status=Status.COMPLETED), has_ended=has_ended)
        missing = await admin.http.patch(f"/invocations/{TEXT}/restart-as-new?deployment={unknown}")
        assert missing.status_code == 400
        assert missing.json()["message"] == f"The given deployment was not found when trying to restart as new the invocation '{TEXT}'."
        assert owner.taken == []

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("path", "status", "answer", "reason"),
    [
        ("resume", Status.SCHEDULED, 425, "is either inboxed or scheduled"),
        ("resume", Status.INVOKED, 409, "is still running or the deployment id is not pinned yet"),
        ("resume", Status.COMPLETED, 409, "is completed, cannot be resumed"),
        ("restart-as-new", Status.INBOXED, 425, "cannot be restarted because it's not running yet"),
        ("restart-as-new", Status.PAUSED, 409, "is still running"),
    ],
)
def test_what_an_invocation_is_doing_is_told_before_what_is_wrong_with_a_deployment(
    tmp_path: Path, path: str, status: Status, answer: int, reason: str
) -> None:
    async def test(admin: Admin) -> None:
        await stored(admin, a_record(pin=Pin("dp_1", 6), status=status))
        refused = await admin.http.patch(f"/invocations/{TEXT}/{path}?deployment=dp_17f4GmlV2jAX6YvPFBOXnM5")
        assert refused.status_code == answer
        assert reason in refused.json()["message"]

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("request_line", "text"),
    [
        ("PATCH /invocations/xx/cancel", "The request field 'invocation_id' is invalid. Reason: bad format"),
        ("PATCH /invocations/inv_12/kill", "The request field 'invocation_id' is invalid. Reason: bad length"),
        (f"PATCH /invocations/{TEXT}/resume?deployment=foo", "The query parameter 'deployment' is invalid. Reason: bad format"),
        (f"PATCH /invocations/{TEXT}/restart-as-new?from=a", "Failed to deserialize query string: from: invalid digit found in string"),
        (f"PATCH /invocations/{TEXT}/restart-as-new?from=", "from: cannot parse integer from empty string"),
        (f"PATCH /invocations/{TEXT}/restart-as-new?from=4294967296", "from: number too large to fit in target type"),
        (f"PATCH /invocations/{TEXT}/restart-as-new?from=1&from=2", "duplicate field `from`"),
        (f"PATCH /invocations/{TEXT}/resume?deployment=keep&deployment=latest", "duplicate field `deployment`"),
        (f"DELETE /invocations/{TEXT}?mode=cancel&mode=kill", "duplicate field `mode`"),
        (f"DELETE /invocations/{TEXT}?mode=zz", "mode: unknown variant `zz`"),
        (f"DELETE /invocations/{TEXT}?mode=kILL", "mode: unknown variant `kILL`"),
        ("DELETE /invocations/xx", "The request field 'invocation_id' is invalid. Reason: bad format"),
    ],
)
def test_bad_ids_and_parameters_are_refused(tmp_path: Path, request_line: str, text: str) -> None:
    async def test(admin: Admin) -> None:
        answer = await admin.http.request(*request_line.split(" "))
        assert answer.status_code == 400
        assert text in answer.text

    with_admin(tmp_path, test)


@pytest.mark.parametrize(("query", "action"), [("", "cancel"), ("?mode=Kill", "kill"), ("?mode=purge", "purge")])
def test_the_deprecated_delete_answers_202_whatever_comes_of_it(tmp_path: Path, query: str, action: str) -> None:
    async def test(admin: Admin) -> None:
        owner = await Owner(admin.bus, "one", outcome("not_found")).start()
        answer = await admin.http.delete(f"/invocations/{TEXT}{query}")
        assert (answer.status_code, answer.content) == (202, b"")
        assert [each.action for each in owner.taken] == [action]

    with_admin(tmp_path, test)


def test_an_action_waits_for_the_owner_and_follows_the_partition(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        waiting = asyncio.ensure_future(admin.http.patch(f"/invocations/{TEXT}/kill"))
        await asyncio.sleep(0)
        former = await Owner(admin.bus, "former", lambda request: NotOwner(request.request_id)).start(epoch=1)
        while not former.taken:
            await asyncio.sleep(0)
        assert not waiting.done()
        announce(admin.bus, "gone", 2)
        present = await Owner(admin.bus, "present", outcome("done")).start(epoch=3)
        assert (await waiting).status_code == 200
        assert (len(former.taken), len(present.taken)) == (1, 1)

    with_admin(tmp_path, test)


def test_an_older_announcement_or_a_heartbeat_does_not_move_a_partition(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        former = Owner(admin.bus, "former", outcome("done"))
        present = await Owner(admin.bus, "present", outcome("done")).start(epoch=5)
        await former.start(epoch=4)
        beat(admin.bus, "former")
        assert (await admin.http.patch(f"/invocations/{TEXT}/kill")).status_code == 200
        assert (len(former.taken), len(present.taken)) == (0, 1)
        beat(admin.bus, "present", is_leaving=True)
        beat(admin.bus, "former")
        assert (await admin.http.patch(f"/invocations/{TEXT}/kill")).status_code == 200
        assert (len(former.taken), len(present.taken)) == (1, 1)

    with_admin(tmp_path, test)


def test_an_owner_that_has_too_much_to_do_is_told_at_once(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        owner = await Owner(admin.bus, "one", lambda request: Overloaded(request.request_id)).start()
        answer = await admin.http.patch(f"/invocations/{TEXT}/kill")
        assert (answer.status_code, "too much to do" in answer.json()["message"]) == (503, True)
        assert len(owner.taken) == 1

    with_admin(tmp_path, test)


@pytest.mark.parametrize("has_owner", [True, False])
def test_an_action_without_an_answer_ends_with_503_and_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_owner: bool
) -> None:
    monkeypatch.setattr(owner_client, "ANSWER_TIMEOUT_S", 0.05)

    async def test(admin: Admin) -> None:
        owner = Owner(admin.bus, "one", lambda _: None)
        if has_owner:
            await owner.start()
        answer = await admin.http.patch(f"/invocations/{TEXT}/cancel")
        assert answer.status_code == 503
        assert answer.json()["message"].startswith("Error when routing the request internally. Reason: ")
        assert len(owner.taken) == has_owner

    with_admin(tmp_path, test)
