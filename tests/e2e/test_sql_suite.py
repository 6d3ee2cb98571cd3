"""What SQL shows of invocations of the whole server, while they run and after."""

import psycopg

from tests.e2e.conftest import Services
from tests.e2e.processes import eventually
from tests.e2e.suite import ours_only

pytestmark = ours_only


def rows(services: Services, query: str, *parameters: object) -> list[tuple[object, ...]]:
    url = f"postgresql://anyone@127.0.0.1:{services.suite.sql_port}/restate"
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query, parameters).fetchall()


def test_an_invocation_is_seen_while_it_waits_and_after(services: Services, tag: str) -> None:
    waits = "suspended" if services.prefix else "running"  # over HTTP/1.1 an attempt ends once it would wait
    invocation_id = services.suite.send(services.path("Holder", "hold"), tag)
    query = "SELECT target, status, retry_count, last_attempt_server, completion_result FROM sys_invocation WHERE id = %s AND status = %s"
    [row] = eventually(lambda: rows(services, query, invocation_id, waits), f"the invocation is {waits}")
    assert row[:3] == (f"{services.prefix}Holder/hold", waits, 1 if waits == "running" else None)
    [awakeable_id] = eventually(lambda: services.endpoint.effects(tag), "the awakeable's id is told")
    assert services.suite.call(f"/restate/awakeables/{awakeable_id}/resolve", "yes").status_code == 202
    [row] = eventually(lambda: rows(services, query, invocation_id, "completed"), "the invocation is complete")
    assert row == (f"{services.prefix}Holder/hold", "completed", None, None, "success")


def test_why_an_invocation_is_tried_again_is_seen(services: Services, tag: str) -> None:
    invocation_id = services.suite.send(services.path("Failing", "stumble"), {"tag": tag, "times": 60})
    query = "SELECT last_failure_error_code, journal_size FROM sys_invocation WHERE id = %s AND last_failure LIKE '%%fails%%'"
    [row] = eventually(lambda: rows(services, query, invocation_id), "the invocation is tried again")
    assert row == ("RT0007", 3)
