"""Known activity, and what SQL shows of it in a form that two servers can be compared by.

`python -m tests.e2e.sql_activity` with `PERDURE_TEST_PEER=restate` and `RESTATE_SERVER=path` records what the real server shows.
"""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.e2e.endpoint import Endpoint
from tests.e2e.processes import eventually
from tests.e2e.suite import Suite

ANSWERS: Final = Path(__file__).parent / "sql_answers.json"
STATEMENTS: Final = Path(__file__).parent / "sql_statements.sql"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z?")
_ULID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_ID: Final = re.compile(r"(inv_1|dp_1|sign_1)[0-9A-Za-z_-]{18,}")
_NUMBERS: Final = frozenset({"partition_key", "sequence_number", "raw_length", "revision"})


class Activity:
    """Runs invocations until there is one in each state, and knows them by name."""

    def __init__(self, suite: Suite, endpoint: Endpoint) -> None:
        self._suite = suite
        self._endpoint = endpoint
        self.ids: dict[str, str] = {}

    def start(self) -> None:
        """Register the services, and wait until everything is in its state."""
        self.deployment = self._suite.register(self._endpoint.url)["id"]
        self._complete()
        self._wait()
        self._suspend()

    def _complete(self) -> None:
        send, attach = self._suite.send, self._suite.attach
        self.ids["errands"] = send("/Desk/errands", "k1")
        self.ids["rummage"] = send("/Attic/a1/rummage", "box")
        self.ids["refused"] = send("/Desk/refuse", "no such item", headers={"idempotency-key": "refuse-1"})
        self.ids["dozed"] = send("/Desk/doze", 1)
        for name in ("errands", "rummage", "refused", "dozed"):
            attach(self.ids[name])

    def _wait(self) -> None:
        self.ids["holding"] = self._suite.send("/Stock/k2/keep", "kept")
        self._endpoint.wait_for_effect_count("kept", 1)
        self.ids["queued"] = self._suite.send("/Stock/k2/change", 5)
        self.ids["scheduled"] = self._suite.send("/Stock/k3/change?delay=1h", 5)
        self.ids["paused"] = self._suite.send("/Stubborn/stumble", "stuck")
        self._reaches("paused", "paused")
        self._reaches("queued", "pending")
        self._reaches("scheduled", "scheduled")

    def _suspend(self) -> None:
        self.ids["order"] = self._suite.send("/Order/o1/run", "book")
        self._endpoint.wait_for_effect("o1", "placed")
        self.ids["paying"] = self._suite.send("/Order/o2/pay", "cash")
        self._suite.attach(self.ids["paying"])
        self.ids["sleeping"] = self._suite.send("/Nap/take", 3_600_000)
        self._reaches("sleeping", "suspended")

    def _reaches(self, name: str, status: str) -> None:
        sql = f"SELECT id FROM sys_invocation WHERE id = '{self.ids[name]}' AND status = '{status}'"
        eventually(lambda: self.rows(sql), f"{name} is {status}")

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return what a statement returns."""
        answer = self._suite.http.post(f"{self._suite.admin_url}/query", json={"query": sql}, headers={"accept": "application/json"})
        return answer.json()["rows"] if answer.status_code == 200 else [{"refused": answer.json()["message"]}]

    def answer(self, statement: str) -> list[dict[str, Any]]:
        """Return what a statement shows, without what differs from run to run; `{name}` in it is the id of an invocation."""
        for name, known in self.ids.items():
            statement = statement.replace(f"{{{name}}}", known)
        return [self._normal(row) for row in self.rows(statement)]

    def _normal(self, row: dict[str, Any]) -> dict[str, Any]:
        shown = {name: self._value(name, value) for name, value in row.items()}
        return {name: value for name, value in sorted(shown.items()) if value is not None}

    def _value(self, name: str, value: Any) -> Any:
        if name in _NUMBERS and isinstance(value, int):
            return "number"
        if name == "created_using_restate_version":
            return None
        if name == "idempotency_key" and isinstance(value, str) and _ULID.fullmatch(value):
            return None  # made up by the real server
        if name == "services":
            return sorted(value)
        if not isinstance(value, str):
            return value
        for known_name, known in self.ids.items():
            value = value.replace(known, f"<{known_name}>")
        value = value.replace(self._endpoint.url, "<endpoint>").replace(self.deployment, "<deployment>")
        value = _TIME.sub("<time>", _ID.sub("<\\1>", value))
        return re.sub(r'"wake_up_time":\d+|"invoke_time":[1-9]\d*', '"<moment>"', value)


def statements() -> list[str]:
    """Return the statements that are compared."""
    return [line for line in STATEMENTS.read_text().splitlines() if line and not line.startswith("--")]


def main() -> int:
    """Record what the server under test shows."""
    with tempfile.TemporaryDirectory() as directory:
        suite, endpoint = Suite(Path(directory) / "data"), Endpoint("tests.e2e.sql_services:app", Path(directory))
        try:
            suite.start()
            endpoint.start()
            activity = Activity(suite, endpoint)
            activity.start()
            answers = {statement: activity.answer(statement) for statement in statements()}
        finally:
            endpoint.stop()
            suite.close()
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ANSWERS
    target.write_text("{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(rows)}" for key, rows in answers.items()) + "\n}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
