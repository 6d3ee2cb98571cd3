import os
import socket
from pathlib import Path

import pytest

from perdure.process import notify


def test_readiness_is_told_to_the_socket_that_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        asking.bind(str(tmp_path / "s"))
        monkeypatch.setenv(notify.VARIABLE, str(tmp_path / "s"))
        notify.notify_ready("127.0.0.1:8080")
        assert notify.fields_of(asking.recv(1000)) == {
            "READY": "1",
            "MAINPID": str(os.getpid()),
            notify.ADDRESS_KEY: "127.0.0.1:8080",
        }


def test_nobody_to_tell_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(notify.VARIABLE, raising=False)
    notify.notify_ready("")
    monkeypatch.setenv(notify.VARIABLE, str(tmp_path / "gone"))
    notify.notify_stopping()
    assert not (tmp_path / "gone").exists()


def test_a_datagram_without_fields_has_none() -> None:
    assert notify.fields_of(b"\xff nonsense\n") == {}


def test_a_reason_to_end_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        asking.bind(str(tmp_path / "s"))
        monkeypatch.setenv(notify.VARIABLE, str(tmp_path / "s"))
        notify.notify_failed("a port\nis taken")
        assert notify.fields_of(asking.recv(1000)) == {"STATUS": "a port is taken", "MAINPID": str(os.getpid())}
