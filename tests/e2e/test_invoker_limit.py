"""An invoker that holds too much refuses new invocations, and takes them again once it holds less."""

from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite

HELD_MAX = 3


def test_what_does_not_fit_is_refused_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_INVOKER__INVOCATIONS_MAX", str(HELD_MAX))
    suite, endpoint = Suite(tmp_path / "data", peer=""), Endpoint("tests.e2e.services:app", tmp_path)
    try:
        suite.start()
        endpoint.start()
        suite.register(endpoint.url)
        send = "/Journal/key/hold_lock/send"
        accepted = [suite.call(send, "tag") for _ in range(HELD_MAX)]
        assert [answer.status_code for answer in accepted] == [202] * len(accepted)
        for path in (send, "/Greeter/greet"):
            refused = suite.call(path, 1)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        for answer in accepted:
            suite.http.patch(f"{suite.admin_url}/invocations/{answer.json()['invocationId']}/kill")
        eventually(lambda: suite.call(send, "tag").status_code == 202, "there is room again")
    finally:
        suite.close()
        endpoint.stop()
