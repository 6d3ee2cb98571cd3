"""The bearer token of the API."""

import asyncio
from pathlib import Path

import pytest
from starlette.routing import Route

from perdure.process.access import is_loopback
from services.admin.api import ROUTES
from tests.unit.admin.harness import an_admin


def test_every_path_but_health_wants_the_token(tmp_path: Path) -> None:
    async def test() -> None:
        async with an_admin(tmp_path, auth_token="secret") as admin:
            for prefix in ("", "/v2", "/v4"):
                for path in {route.path for route in ROUTES if isinstance(route, Route)} - {"/health"}:
                    for headers in (
                        {},
                        {"authorization": "Bearer secre"},
                        {"authorization": "secret"},
                        {"authorization": "Bearer secret2"},
                    ):
                        refused = await admin.http.get(prefix + path, headers=headers)
                        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer"), path
                assert (await admin.http.get(f"{prefix}/health")).status_code == 200
            assert (await admin.http.get("/nothing")).status_code == 401
            admitted = await admin.http.get("/v4/services", headers={"authorization": "Bearer secret"})
            assert (admitted.status_code, admitted.json()) == (200, {"services": []})

    asyncio.run(test())


@pytest.mark.parametrize(
    ("bind", "is_safe"),
    [("127.0.0.1", True), ("[::1]", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("db.example", False)],
)
def test_only_a_loopback_address_is_safe_without(bind: str, is_safe: bool) -> None:
    assert is_loopback(bind) is is_safe
