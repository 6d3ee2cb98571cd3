"""The files of the web page over the application."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from services.admin.api import build_api
from services.admin.page import ROOM
from tests.unit.admin.harness import Admin, an_admin, with_admin


@pytest.mark.parametrize("path", ["/", "/ui", "/v4/ui"])
def test_the_front_leads_to_the_page(tmp_path: Path, path: str) -> None:
    async def test(admin: Admin) -> None:
        answer = await admin.http.get(f"{path}?a=b")
        assert (answer.status_code, answer.headers["location"], answer.content) == (308, "/ui/?a=b", b"")

    with_admin(tmp_path, test)


def test_the_page_and_all_that_it_imports_are_there(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        for path in ("/ui/", "/ui/query/v2/invocations", "/v3/ui/"):
            index = await admin.http.get(path)
            assert (index.status_code, index.headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert index.headers["service-worker-allowed"] == "/"
        wanted = set(re.findall(r'(?:href|src)="(/ui/assets/[^"]+)"', index.text))
        wanted |= {f"/ui/assets/{name}" for path in ROOM.glob("*.js") for name in re.findall(r'from "\./([^"]+)"', path.read_text())}
        assert len(wanted) > 5
        for path in wanted:
            asset = await admin.http.get(path)
            assert (asset.status_code, asset.headers["content-type"].split(";")[0] in {"text/css", "text/javascript"}) == (200, True), path
        for path in ("/ui/assets/nope.js", "/ui/assets/index.html"):
            assert (await admin.http.get(path)).status_code == 404

    with_admin(tmp_path, test)


def test_the_page_can_be_left_out_and_needs_no_token(tmp_path: Path) -> None:
    async def test() -> None:
        async with an_admin(tmp_path, auth_token="secret") as admin:
            assert (await admin.http.get("/ui/")).status_code == 200
            without = httpx.ASGITransport(build_api(admin.context, has_page=False))
            async with httpx.AsyncClient(transport=without, base_url="http://admin") as http:
                for path in ("/", "/ui", "/ui/", "/ui/assets/app.js"):
                    assert (await http.get(path)).status_code == 404

    asyncio.run(test())
