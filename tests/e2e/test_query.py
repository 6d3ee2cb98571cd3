"""SQL over the admin API: both forms of an answer, errors, the statements of the released tools, and statements that are cut.

Most of it holds for the real server as well (`PERDURE_TEST_PEER=restate`, see `suite.py`).
"""

import json
import threading
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pyarrow.ipc
import pytest

from tests.e2e.conftest import Services
from tests.e2e.processes import eventually, family
from tests.e2e.suite import Suite, ours_only

ARROW = "application/vnd.apache.arrow.stream"
RUNAWAY = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value + b.value = 7"


def query(suite: Suite, sql: str, accept: str = "application/json") -> httpx.Response:
    return suite.http.post(f"{suite.admin_url}/query", json={"query": sql}, headers={"accept": accept})


def rows(suite: Suite, sql: str) -> list[dict[str, Any]]:
    answer = query(suite, sql)
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def test_an_answer_is_json_only_where_exactly_that_is_asked_for(suite: Suite) -> None:
    answer = query(suite, "SELECT 1 AS a, NULL AS b, 'x' AS c")
    assert (answer.headers["content-type"], answer.text) == ("application/json", '{"rows":[{"a":1,"c":"x"}]}')
    for accept in ("*/*", "application/json;q=1", "application/json, text/plain"):
        answer = query(suite, "SELECT count(*) AS n FROM sys_rules", accept)
        assert answer.headers["content-type"] == ARROW
        table = pa.ipc.open_stream(answer.content).read_all()
        assert (table.schema.field("n").type, table.to_pylist()) == (pa.int64(), [{"n": 0}])


@pytest.mark.parametrize(
    ("sql", "status", "message"),
    [
        ("selec", 400, 'Datafusion error: SQL error: ParserError("Expected: an SQL statement, found: selec at Line: 1, Column: 1")'),
        ("drop table state", 400, "Datafusion error: Error during planning: DDL not supported: DropTable"),
        ("", 400, "Datafusion error: Error during planning: No SQL statements were provided in the query string"),
        ("select * from nope", 500, "Datafusion error: Error during planning: table 'restate.public.nope' not found"),
        ("select * from state order by 99", 400, "Order by column out of bounds, specified: 99, max: 9"),
        ("select nope()", 500, "Datafusion error: Error during planning: Invalid function 'nope'."),
        ("select 1; select 2", 500, "only supports a single SQL statement"),
        ("select nope from state", 500, "Datafusion error: Schema error: No field named nope."),
        ("select 1/0 as x", 500, "Datafusion error: Arrow error: Divide by zero error"),
    ],
)
def test_what_cannot_be_run_is_refused(suite: Suite, sql: str, status: int, message: str) -> None:
    answer = query(suite, sql)
    assert answer.status_code == status
    assert message in answer.json()["message"]


def test_a_body_that_is_no_query_is_refused(suite: Suite) -> None:
    url = f"{suite.admin_url}/query"
    assert suite.http.post(url, content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert suite.http.post(url, content=b"select 1", headers={"content-type": "text/plain"}).status_code == 415
    assert suite.http.post(url, json={"sql": "select 1"}).status_code == 422
    assert suite.http.get(url).status_code == 405


def test_many_rows_arrive_as_one_document(suite: Suite) -> None:
    assert [row["n"] for row in rows(suite, "SELECT value AS n FROM generate_series(1, 30000)")] == list(range(1, 30001))


# Statements as the released tools send them: `{}` takes the place of a value.
STATEMENTS = [
    "SELECT COUNT(1) AS inv_count FROM sys_invocation_status WHERE pinned_deployment_id = 'dp_1' AND status != 'completed'",
    "SELECT target_service_name as service, target_handler_name as handler, COUNT(1) AS inv_count FROM sys_invocation_status WHERE"
    " pinned_deployment_id = 'dp_1' AND status != 'completed' GROUP BY pinned_deployment_id, target_service_name, target_handler_name",
    "SELECT target_service_name, target_handler_name, 'pending' as status, COUNT(1) as num_invocations, MIN(created_at) as oldest_at,"
    " FIRST_VALUE(id ORDER BY created_at ASC) as oldest_invocation FROM sys_invocation_status WHERE status == 'inboxed'"
    " AND target_service_name IN ('A', 'B') GROUP BY target_service_name, target_handler_name",
    "SELECT inv.id FROM sys_invocation inv WHERE inv.status IN ('running', 'pending') ORDER BY inv.created_at DESC, inv.id LIMIT 100",
    "SELECT inv.id, dp.id IS NOT NULL as pinned_deployment_exists FROM sys_invocation inv LEFT JOIN sys_deployment dp"
    " ON dp.id = inv.pinned_deployment_id WHERE inv.id IN"
    " ('inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N', 'inv_1k3MuQDfa7A45YH49SHMO65A9XUNiCuZLX')",
    "SELECT service_name, service_key, COUNT(1) as num_pending FROM sys_inbox GROUP BY service_name, service_key ORDER BY num_pending DESC",
    "SELECT target_service_name as service_name, target_service_key as service_key, status as invocation_status, first_value(id) as id,"
    " 0 as num_pending, sum(retry_count) as num_retries FROM sys_invocation WHERE status != 'pending'"
    " GROUP BY target_service_name, target_service_key, status",
    "SELECT COUNT(1) FROM (SELECT * FROM sys_invocation inv LIMIT 50000 ) WHERE inv.status != 'completed'",
    "SELECT sj.index, sj.entry_type FROM sys_journal sj WHERE sj.id = 'inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N'"
    " ORDER BY index DESC LIMIT 100",
    "SELECT id, target FROM sys_invocation_status WHERE ((target = 'A/b' AND target_service_ty = 'service') OR"
    " (target LIKE 'A/b/%' AND target_service_ty != 'service')) AND status IN ('invoked', 'suspended') LIMIT 500",
    "SELECT key, value FROM state WHERE service_name = 'A' AND service_key = 'b' ;",
    "SELECT pattern, concurrency, description, disabled, version, last_modified FROM sys_rules",
    "SELECT id FROM sys_invocation WHERE pinned_deployment_id IS NOT NULL AND pinned_deployment_id NOT IN (select id from sys_deployment)"
    " AND target_service_name IN (select name from sys_service where ty = 'virtual_object')",
    "SELECT COUNT(*) FROM information_schema.columns WHERE table_name = 'sys_journal' AND column_name IN ('version', 'entry_json')",
    "SELECT id FROM sys_deployment EXCEPT (SELECT deployment_id FROM sys_service UNION SELECT pinned_deployment_id FROM"
    " sys_invocation_status WHERE status != 'completed')",
    "SELECT COUNT(*) FILTER (WHERE status = 'x') FROM sys_invocation_status WHERE created_at > now() - INTERVAL '1 hour'",
    "SELECT date_bin(INTERVAL '1 minute', created_at) AS t, MAX(completed_at - created_at) FROM sys_invocation_status"
    " GROUP BY t ORDER BY t NULLS LAST",
    "SELECT id, is_active, num_inbox FROM sys_vqueue_meta LIMIT 100",
    "SELECT id, event_json FROM sys_journal_events WHERE event_type IN ('TransientError', 'Paused')",
    "SELECT invocation_id FROM sys_keyed_service_status WHERE service_name = 'A' AND service_key = 'b'",
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_statements_of_existing_tools_run_in_both_forms(http2: Services, sql: str) -> None:
    assert isinstance(rows(http2.suite, sql), list)
    answer = query(http2.suite, sql, "*/*")
    assert answer.headers["content-type"] == ARROW
    assert pa.ipc.open_stream(answer.content).read_all().num_columns > 0


def test_the_journal_is_shown_entry_by_entry(services: Services, tag: str) -> None:
    suite = services.suite
    invocation = suite.send(services.path("Steps", "run"), {"tag": tag, "count": 1})
    suite.attach(invocation)
    found = rows(
        suite, f"SELECT index, entry_type, name, raw_length, entry_json, entry_lite_json FROM sys_journal WHERE id = '{invocation}'"
    )
    found.sort(key=lambda row: row["index"])
    assert [(row["entry_type"], row.get("name")) for row in found] == [
        ("Command: Input", ""),
        ("Command: Run", "step-0"),
        ("Notification: Run", None),
        ("Command: Output", ""),
    ]
    assert [json.loads(row["entry_lite_json"]) for row in found] == [
        {"Command": {"Input": {}}},
        {"Command": {"Run": {"completion_id": 1, "name": "step-0"}}},
        {"Notification": {"ty": {"Completion": "Run"}, "id": {"CompletionId": 1}, "result": "Success"}},
        {"Command": {"Output": {"result": "Success"}}},
    ]
    assert json.loads(found[3]["entry_json"]) == {"Command": {"Output": {"result": {"Success": list(b"[0]")}, "name": ""}}}
    assert found[2]["raw_length"] == 7


def test_an_object_shows_its_holder_its_queue_and_its_state(http2: Services, tag: str) -> None:
    suite = http2.suite
    holder = suite.send(http2.path("Journal", tag, "hold_lock"), tag)
    http2.endpoint.wait_for_effect_count(tag, 1)
    waiting = [suite.send(http2.path("Journal", tag, "append"), number) for number in range(2)]
    where = f"WHERE service_name = 'Journal' AND service_key = '{tag}'"
    eventually(lambda: len(rows(suite, f"SELECT id FROM sys_inbox {where}")) == 2, "two wait")
    queue = rows(suite, f"SELECT id, sequence_number FROM sys_inbox {where} ORDER BY sequence_number")
    assert [row["id"] for row in queue] == waiting
    assert rows(suite, f"SELECT invocation_id FROM sys_keyed_service_status {where}") == [{"invocation_id": holder}]
    [awakeable] = http2.endpoint.effects(tag)
    assert suite.call(f"/restate/awakeables/{awakeable}/resolve", "yes").status_code == 202
    for invocation in waiting:
        suite.attach(invocation)
    shown = rows(suite, f"SELECT key, value_utf8, value FROM state {where} ORDER BY key")
    assert [(row["key"], row["value_utf8"]) for row in shown] == [("item-0000", "0"), ("item-0001", "1"), ("order", "[0, 1]")]
    assert bytes.fromhex(shown[1]["value"]) == b"1"
    assert rows(suite, f"SELECT invocation_id FROM sys_keyed_service_status {where}") == []


def test_a_promise_is_shown_before_and_after(http2: Services, tag: str) -> None:
    suite = http2.suite
    invocation = suite.send(http2.path("Approval", tag, "run"), "paper")
    http2.endpoint.wait_for_effect(tag, "opened")
    where = f"WHERE service_name = 'Approval' AND service_key = '{tag}'"
    shown = "key, completed, completion_success_value_utf8"
    found = eventually(lambda: rows(suite, f"SELECT {shown} FROM sys_promise {where}"), "the promise is there")
    assert found == [{"key": "decision", "completed": False}]
    suite.call(http2.path("Approval", tag, "decide"), "accepted")
    suite.attach(invocation)
    assert rows(suite, f"SELECT {shown} FROM sys_promise {where}") == [
        {"key": "decision", "completed": True, "completion_success_value_utf8": '"accepted"'}
    ]


@ours_only
def test_a_statement_ends_when_its_client_goes_away(own_suite: Suite) -> None:
    [admin] = own_suite.processes("admin")

    def workers() -> list[psutil.Process]:
        return [member for member in family(admin.pid) if "perdure.query.worker" in member.cmdline()]

    gone = threading.Event()

    def ask_and_leave() -> None:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{own_suite.admin_url}/query", json={"query": RUNAWAY}, timeout=1.0)
        gone.set()

    client = threading.Thread(target=ask_and_leave)
    client.start()
    [worker] = eventually(workers, "a worker runs")
    client.join()
    assert gone.is_set()
    eventually(lambda: not worker.is_running(), "the worker is ended", limit_s=10)
    assert rows(own_suite, "SELECT 1 AS a") == [{"a": 1}]
