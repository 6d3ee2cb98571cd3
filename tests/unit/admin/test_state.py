"""Changing state: from the body of the request to the owner of the key's partition."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from perdure.base.ids import partition_of_key
from perdure.bus.messages import VERSION, Accepted, Announcement, MutateState, Overloaded, OwnerReplies, OwnerRequests, encode
from perdure.model.state import StateMutation
from perdure.model.target import ServiceType
from perdure.store.blobs import get_blob
from tests.unit.admin.harness import KEYS, PARTITIONS, SUBJECTS, Admin, with_admin
from tests.unit.registry.builders import a_service


async def an_owner(admin: Admin, *, is_overloaded: bool = False) -> list[MutateState]:
    """Answer for all partitions, and keep what was asked; with services to ask about."""
    taken: list[MutateState] = []

    def receive(payload: bytes, reply: str) -> None:
        message = msgspec.msgpack.decode(payload, type=OwnerRequests)
        for request in message.requests:
            assert isinstance(request, MutateState)
            taken.append(request)
            answer = Overloaded(request.request_id) if is_overloaded else Accepted(request.request_id)
            admin.bus.publish(message.reply_subject, encode(OwnerReplies(VERSION, [answer])))

    admin.endpoints.serve("http://e", a_service(), a_service("Cart", ServiceType.VIRTUAL_OBJECT), a_service("Flow", ServiceType.WORKFLOW))
    await admin.register("http://e")
    await admin.bus.subscribe(SUBJECTS.owner("one"), receive)
    partitions = list(range(PARTITIONS))
    admin.bus.publish(SUBJECTS.announcements, encode(Announcement(VERSION, "one", partitions, dict.fromkeys(partitions, 1))))
    return taken


@pytest.mark.parametrize(
    ("body", "mutation"),
    [
        ({"object_key": "k", "new_state": {"b": [1, 255], "a": "é"}}, StateMutation(((b"a", "é".encode()), (b"b", b"\x01\xff")))),
        ({"service_key": "k", "new_state": {}, "version": "v"}, StateMutation((), "v")),
        ({"object_key": "k", "new_state": {"a": []}, "version": None}, StateMutation(((b"a", b""),))),
    ],
)
@pytest.mark.parametrize("service", ["Cart", "Flow"])
def test_a_mutation_reaches_the_owner_of_its_key(tmp_path: Path, service: str, body: dict[str, Any], mutation: StateMutation) -> None:
    async def test(admin: Admin) -> None:
        taken = await an_owner(admin)
        answer = await admin.http.post(f"/services/{service}/state", json=body)
        assert (answer.status_code, answer.content) == (202, b"")
        assert taken == [MutateState(1, partition_of_key("k", PARTITIONS), service, "k", mutation)]

    with_admin(tmp_path, test)


def test_a_large_mutation_travels_through_the_store(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        taken = await an_owner(admin)
        await admin.http.post("/services/Cart/state", json={"object_key": "k", "new_state": {"a": "x" * 600_000}, "version": "v"})
        blob_id = taken[0].mutation_blob_id
        assert blob_id is not None
        assert taken[0].mutation == StateMutation((), "v")
        stored = await get_blob(admin.context.store, KEYS, blob_id)
        assert stored is not None
        assert msgspec.msgpack.decode(stored, type=StateMutation) == StateMutation(((b"a", b"x" * 600_000),), "v")

    with_admin(tmp_path, test)


@pytest.mark.parametrize(
    ("service", "body", "status"),
    [
        ("Missing", {"object_key": "k", "new_state": {"a": "1"}}, 404),
        ("Missing", {"object_key": "k", "new_state": {}}, 202),
        ("Greeter", {"object_key": "k", "new_state": {}}, 400),
        ("Cart", {"new_state": {}}, 422),
        ("Cart", {"object_key": "k"}, 422),
        ("Cart", {"object_key": "k", "new_state": {"a": [256]}}, 422),
        ("Cart", {"object_key": "k", "new_state": {"a": 1}}, 422),
        ("Cart", {"object_key": "k" * 4_001, "new_state": {}}, 422),
        ("Cart", {"object_key": "k", "new_state": {"a" * 2_000: "1"}}, 422),
        ("Cart", {"object_key": "k", "new_state": {"a": "1"}, "scope": "s"}, 400),
        ("Cart", {"object_key": "k", "new_state": {"a": "1"}, "scope": None}, 202),
        ("Cart", [], 422),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, service: str, body: Any, status: int) -> None:
    async def test(admin: Admin) -> None:
        taken = await an_owner(admin)
        assert (await admin.http.post(f"/services/{service}/state", json=body)).status_code == status
        assert len(taken) == (status == 202)

    with_admin(tmp_path, test)


def test_an_owner_with_too_much_to_do_is_told_of(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        await an_owner(admin, is_overloaded=True)
        assert (await admin.http.post("/services/Cart/state", json={"object_key": "k", "new_state": {}})).status_code == 503

    with_admin(tmp_path, test)
