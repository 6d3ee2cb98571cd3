"""The whole set with everything that can be secured: it works for those who may, and for nobody else."""

import asyncio
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import grpc
import httpx
import nats
import psycopg
import pytest
import restate
from nats.errors import Error as NatsError

from services.admin.openapi import openapi_document
from tests.e2e.cli import PROGRAM
from tests.e2e.endpoint import Endpoint
from tests.e2e.fleet import PUBLIC
from tests.e2e.processes import REPOSITORY, eventually
from tests.e2e.secured_fleet import SecuredFleet, secured
from tests.e2e.services import greet

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, endpoint: Endpoint) -> Iterator[SecuredFleet]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        room = tmp_path_factory.mktemp("secured")
        for fleet in secured(room / "fleet", room, monkeypatch, nodectl=1, admin=1, invoker=2, ingress=1, sql=1):
            fleet.register(endpoint.url)
            yield fleet


def sql_of(fleet: SecuredFleet, **changes: str) -> "psycopg.Connection[tuple[object, ...]]":
    settings = {"user": "ada", "password": fleet.password, "sslmode": "verify-full", "sslrootcert": str(fleet.authority.file)} | changes
    return psycopg.connect(host="localhost", port=fleet.members["sql"][0].port, dbname="restate", autocommit=True, **settings)


def test_calls_sql_metrics_and_operations_work_for_those_who_may(fleet: SecuredFleet, tag: str) -> None:
    assert fleet.result("/Greeter/greet", tag) == f"Hello {tag}"
    assert fleet.result(f"/Counter/{tag}/add", 3) == 3
    with sql_of(fleet) as connection:
        counted = connection.execute("SELECT count(*) FROM sys_invocation WHERE target_service_key = %s", [tag]).fetchone()
    assert counted == (1,)
    node = fleet.url_of("nodectl")
    assert fleet.http.get(f"{node}/health").json()["reasons"] == []
    metrics = fleet.http.get(f"{node}/metrics").text
    assert all(f'role="{role}"' in metrics for role in ("ingress", "admin", "sql", "invoker", "nodectl"))
    assert fleet.http.put(f"{node}/log-level", params={"level": "debug"}).status_code == 200
    assert fleet.rows("SELECT count(*) AS n FROM sys_invocation")[0]["n"] > 0


def test_the_bus_refuses_nothing_that_processes_do(fleet: SecuredFleet, tag: str) -> None:
    member = fleet.members["invoker"][0]
    fleet.replace(member)
    fleet.replace(fleet.members["ingress"][0])
    fleet.replace(fleet.members["admin"][0])
    (newcomer,) = fleet.start("invoker")
    node = fleet.url_of("nodectl")
    assert fleet.http.put(f"{node}/drain", params={"process": newcomer.process_id}).status_code == 200
    fleet.stop(newcomer)
    assert fleet.http.put(f"{node}/log-level", params={"level": "debug"}).status_code == 200
    with sql_of(fleet) as connection:
        assert connection.execute("SELECT count(*) FROM sys_invocation WHERE status = 'running'").fetchone() is not None
    assert fleet.result("/Greeter/greet", tag) == f"Hello {tag}"
    assert "iolation" not in fleet.nats_log.read_text()
    assert "bus_error" not in fleet.logs()


def test_grpc_over_tls_serves_handlers_and_node_control(fleet: SecuredFleet) -> None:
    credentials = grpc.ssl_channel_credentials(fleet.authority.file.read_bytes())
    for role in ("ingress", "nodectl"):
        with grpc.secure_channel(f"localhost:{fleet.members[role][0].port}", credentials) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert check(b"", timeout=10) == b"\x08\x01"


def test_the_released_command_line_brings_its_token_over_tls(fleet: SecuredFleet, tmp_path: Path) -> None:
    environ = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "SSL_CERT_FILE": str(fleet.authority.file),
        "RESTATE_ADMIN_URL": fleet.admin_url,
        "RESTATE_AUTH_TOKEN": fleet.token,
    }
    finished = subprocess.run([PROGRAM, "services", "list"], env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert finished.returncode == 0, finished.stderr
    assert "Greeter" in finished.stdout


def test_the_released_sdk_calls_over_tls(fleet: SecuredFleet, tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(fleet.authority.file))

    async def call() -> object:
        async with restate.create_client(fleet.ingress_url) as client:
            return await client.service_call(greet, tag)

    assert asyncio.run(call()) == f"Hello {tag}"


def test_node_commands_bring_the_token_over_tls_and_print_no_secret(fleet: SecuredFleet) -> None:
    environ = {**os.environ, "SSL_CERT_FILE": str(fleet.authority.file), "PERDURE_AUTH_TOKEN": fleet.token}
    for arguments in (["status"], ["log-level", "debug"]):
        command = [Path(sys.executable).parent / "perdure", *arguments, "--node", fleet.url_of("nodectl")]
        finished = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
        assert finished.returncode == 0, finished.stderr
        assert not [secret for secret in secrets_of(fleet) if secret in finished.stdout + finished.stderr]


def test_clients_are_told_an_address_with_tls(fleet: SecuredFleet) -> None:
    assert fleet.http.get(f"{fleet.admin_url}/version").json()["ingress_endpoint"].startswith("https://")


def test_renewed_certificates_are_shown_on_every_port_while_work_goes_on(fleet: SecuredFleet, tag: str) -> None:
    ports = {role: (fleet.members[role][0].port or 0, SSL_REQUEST if role == "sql" else b"") for role in PUBLIC}
    before = {fleet.shown_by(*port) for port in ports.values()}
    with sql_of(fleet) as connection:
        renewed = fleet.renew().certificate.read_text()
        assert before.isdisjoint({renewed})
        for role, port in ports.items():
            eventually(lambda port=port: fleet.shown_by(*port) == renewed, f"{role} shows the new certificate")
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert fleet.result("/Greeter/greet", tag) == f"Hello {tag}"


def bus_context(fleet: SecuredFleet, *, certificate: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(fleet.authority.file))
    if certificate:
        context.load_cert_chain(str(fleet.client.certificate), str(fleet.client.key))
    return context


def refusal_of(fleet: SecuredFleet, role: str, act: Callable[[nats.NATS], Awaitable[object]]) -> str:
    """Return what the bus answers to a process of a role that does what it may not."""

    async def refused_to() -> str:
        refusal = asyncio.get_running_loop().create_future()

        async def refused(error: Exception) -> None:
            refusal.set_result(str(error))

        client = await nats.connect(
            fleet.nats_url, tls=bus_context(fleet), user=role, password=fleet.bus_passwords[role], error_cb=refused, allow_reconnect=False
        )
        try:
            await act(client)
            return await asyncio.wait_for(refusal, 10)
        finally:
            await client.close()

    return asyncio.run(refused_to()).lower()


@pytest.mark.parametrize(
    ("role", "subject"),
    [
        ("sql", "perdure.owner.x"),
        ("sql", "perdure.schema"),
        ("sql", "perdure.inbox.admin.x"),
        ("ingress", "perdure.schema"),
        ("ingress", "perdure.replies.ingress.x"),
        ("ingress", "perdure.inbox.sql.x"),
        ("ingress", "perdure.inbox.invoker.x"),
        ("admin", "perdure.inbox.sql.x"),
        ("nodectl", "perdure.owner.x"),
        ("nodectl", "perdure.inbox.admin.x"),
    ],
)
def test_a_process_that_was_taken_over_cannot_say_what_is_not_its_to_say(fleet: SecuredFleet, role: str, subject: str) -> None:
    refusal = refusal_of(fleet, role, lambda client: client.publish(subject, b"x"))
    assert "permissions violation for publish" in refusal
    assert subject.lower() in refusal


@pytest.mark.parametrize(
    ("role", "subject"),
    [
        ("ingress", "perdure.replies.admin.*"),
        ("admin", "perdure.replies.ingress.*"),
        ("sql", "perdure.replies.>"),
        ("sql", "perdure.inbox.nodectl.>"),
        ("nodectl", "perdure.inbox.admin.>"),
        ("invoker", "perdure.inbox.>"),
        ("ingress", "_INBOX.>"),
        ("ingress", "perdure.>"),
        ("ingress", "perdure.owner.*"),
    ],
)
def test_a_process_that_was_taken_over_cannot_listen_to_what_others_are_told(fleet: SecuredFleet, role: str, subject: str) -> None:
    refusal = refusal_of(fleet, role, lambda client: client.subscribe(subject))
    assert "permissions violation for subscription" in refusal
    assert subject.lower() in refusal


@pytest.mark.parametrize(("certificate", "password"), [(False, True), (True, False)])
def test_the_bus_wants_a_certificate_and_a_password(fleet: SecuredFleet, certificate: bool, password: bool) -> None:
    async def connect() -> None:
        await nats.connect(
            fleet.nats_url,
            tls=bus_context(fleet, certificate=certificate),
            user="sql",
            password=fleet.bus_passwords["sql"] if password else "guessed",
            allow_reconnect=False,
            connect_timeout=5,
        )

    with pytest.raises((NatsError, OSError)):
        asyncio.run(connect())


ROW = re.compile(r"\| (ingress|admin|nodectl) \| `([A-Z]+) ([^`]+)` \| (\d{3}) \|")
OPEN_TO_ALL = ROW.findall((REPOSITORY / "docs/security.md").read_text())


@pytest.mark.parametrize(("role", "method", "path", "status"), OPEN_TO_ALL)
def test_who_brings_nothing_gets_what_the_page_on_security_says(
    fleet: SecuredFleet, role: str, method: str, path: str, status: str
) -> None:
    with httpx.Client(verify=fleet.context) as nobody:
        answer = nobody.request(method, fleet.url_of(role) + path, json={} if method in {"POST", "PUT", "PATCH"} else None)
    assert answer.status_code == int(status), answer.text
    if answer.status_code == 401:
        assert "auth_token" in answer.text


GRPC_ROW = re.compile(r"\| (ingress|nodectl) \| gRPC `([^`]+)` \| ([A-Z]+) \|")
GRPC_OPEN_TO_ALL = GRPC_ROW.findall((REPOSITORY / "docs/security.md").read_text())


@pytest.mark.parametrize(("role", "path", "status"), GRPC_OPEN_TO_ALL)
def test_who_brings_nothing_over_grpc_gets_what_the_page_on_security_says(fleet: SecuredFleet, role: str, path: str, status: str) -> None:
    credentials = grpc.ssl_channel_credentials(fleet.authority.file.read_bytes())
    with grpc.secure_channel(f"localhost:{fleet.members[role][0].port}", credentials) as channel:
        try:
            channel.unary_unary(path)(b"", timeout=10)
            answered = "OK"
        except grpc.RpcError as error:
            answered = error.code().name
    assert answered == status


def test_the_page_on_security_tells_of_every_port() -> None:
    assert {role for role, *_ in OPEN_TO_ALL} == {"ingress", "admin", "nodectl"}
    assert {int(status) for *_, status in OPEN_TO_ALL} == {200, 401}
    assert {role for role, *_ in GRPC_OPEN_TO_ALL} == {"ingress", "nodectl"}


def test_no_path_of_the_admin_api_is_open_but_those_of_the_page(fleet: SecuredFleet) -> None:
    opened = {(method, path) for role, method, path, status in OPEN_TO_ALL if role == "admin" and status == "200"}
    operations = [
        (method.upper(), re.sub(r"\{[^}]*\}", "x", path))
        for path, item in openapi_document("1").get("paths", {}).items()
        for method in item
        if method in {"get", "put", "post", "patch", "delete"}
    ]
    assert len(operations) > 30
    with httpx.Client(verify=fleet.context) as nobody:
        answered = {(method, path): nobody.request(method, fleet.admin_url + path).status_code for method, path in operations}
    assert {operation for operation, status in answered.items() if status != 401} <= opened


def test_nothing_is_told_in_clear(fleet: SecuredFleet) -> None:
    for role in ("ingress", "admin", "nodectl"):
        with httpx.Client() as client, pytest.raises(httpx.TransportError):
            client.get(fleet.url_of(role).replace("https:", "http:") + "/health")


@pytest.mark.parametrize(
    ("changes", "reason"), [({"sslmode": "disable"}, "over TLS only"), ({"password": "guessed"}, "password authentication failed")]
)
def test_sql_wants_tls_and_the_password(fleet: SecuredFleet, changes: dict[str, str], reason: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=reason):
        sql_of(fleet, **changes)


def test_no_secret_is_printed_or_told(fleet: SecuredFleet, endpoint: Endpoint, tag: str) -> None:
    header = f"header-{tag}"
    fleet.register(endpoint.url, additional_headers={"x-api-key": header}, force=True)
    assert fleet.result("/Failing/stumble", {"tag": tag, "times": 1}) == 2
    with httpx.Client(verify=fleet.context, headers={"authorization": f"Bearer {fleet.token}x"}) as mistaken:
        refusal = mistaken.get(f"{fleet.admin_url}/deployments").text
    with pytest.raises(psycopg.OperationalError) as refused:
        sql_of(fleet, password=f"{fleet.password}x")
    metrics = fleet.http.get(f"{fleet.url_of('nodectl')}/metrics").text
    told = [fleet.logs(), fleet.nats_log.read_text(), metrics, refusal, str(refused.value)]
    for secret in (*secrets_of(fleet), header):
        assert not any(secret in text for text in told), secret


def secrets_of(fleet: SecuredFleet) -> list[str]:
    """Everything that nobody is told: what the settings name, and the lines of the private keys."""
    keys = [line for file in (fleet.server.key, fleet.client.key, fleet.signing_key) for line in file.read_text().splitlines()]
    headers = [fleet.trace_header, fleet.request_header]
    return [fleet.token, fleet.password, *headers, *fleet.bus_passwords.values(), *(line for line in keys if not line.startswith("-"))]
