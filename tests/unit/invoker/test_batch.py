"""What a batch writes of its messages, and how the receiver reads them back."""

from typing import Any

import pytest

from perdure.base.limits import VALUE_BYTES_MAX
from perdure.model.invocation import CallSink
from perdure.model.journal import CompletionType
from perdure.model.mail import AttachMail, CompletionMail, Mail
from perdure.model.result import Success
from perdure.store.keyspace import Keyspace
from services.invoker.batch import Batch, read_mail
from services.invoker.machine.events import MailReceived
from services.invoker.machine.step import Step
from tests.unit.invoker.builders import Machine, an_id

KEYSPACE = Keyspace()


class Rows(dict[bytes, bytes]):
    """A transaction in memory that refuses what a row cannot hold."""

    def set(self, key: bytes, value: bytes) -> None:
        assert len(value) <= VALUE_BYTES_MAX
        self[key] = value

    def set_versionstamped_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        self.set(prefix + bytes(10) + suffix, value)

    def get_range(self, begin: bytes, end: bytes, **_: object) -> list[tuple[bytes, bytes]]:
        return sorted((key, value) for key, value in self.items() if begin <= key < end)


def as_transaction(rows: dict[bytes, bytes]) -> Any:
    return Rows(rows)


def written(mail: Mail) -> Any:
    step = Step()
    step.mailed.append((0, mail))
    step.touched.add(0)
    rows: Any = Rows()
    Batch(step, 1, b"i-1", {}, KEYSPACE, b"i").write(rows)
    return rows


@pytest.mark.parametrize(
    ("mail", "has_body"),
    [
        (AttachMail(an_id(1), CallSink(an_id(2), 3)), False),
        (CompletionMail(an_id(1), CompletionType.CALL, 2, Success(b"v" * 300_000)), True),
    ],
)
def test_a_message_of_any_size_is_read_back_as_it_was_sent(mail: Mail, has_body: bool) -> None:
    rows = written(mail)
    (value,) = [value for key, value in rows.items() if key.startswith(KEYSPACE.partition(0).mail)]
    received, body_key = read_mail(rows, value)
    assert received == mail
    assert bool(body_key) is has_body


def test_applying_a_message_removes_its_row_and_its_body() -> None:
    machine = Machine()
    mail = CompletionMail(an_id(1), CompletionType.CALL, 2, Success(b"v" * 300_000))
    machine.rows = dict(written(mail))
    keys = machine.keys
    (row,) = [key for key in machine.rows if key.startswith(keys.mail)]
    _, body_key = read_mail(as_transaction(machine.rows), machine.rows[row])
    step = machine.feed(MailReceived(mail, row, body_key))
    assert step.wide == {body_key: None}
    assert row not in machine.rows
