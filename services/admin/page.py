"""The web page: plain files, no build step. Source: shared/spec/admin.md, section 12."""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from services.admin.routing import resource

ROOM: Final = Path(__file__).resolve().parent / "web"
_MEDIA_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_HEADERS: Final = {
    "service-worker-allowed": "/",
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'self'; connect-src *; img-src data:; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}
"""`connect-src *`: the page calls handlers at the ingress, wherever that is."""


def page_routes() -> list[BaseRoute]:
    """Return the routes of the page; files are read once, here."""
    index = (ROOM / "index.html").read_bytes()
    assets = {path.name: path.read_bytes() for path in ROOM.iterdir() if path.suffix in _MEDIA_TYPES}

    async def get_index(request: Request) -> Response:
        return Response(index, headers=_HEADERS, media_type="text/html; charset=utf-8")

    async def get_asset(request: Request) -> Response:
        name: str = request.path_params["name"]
        if name not in assets:
            return Response(status_code=404)
        return Response(assets[name], headers=_HEADERS, media_type=_MEDIA_TYPES[Path(name).suffix])

    return [
        resource("/", GET=_to_page),
        resource("/ui", GET=_to_page),
        resource("/ui/assets/{name}", GET=get_asset),
        resource("/ui/{rest:path}", GET=get_index),
    ]


async def _to_page(request: Request) -> Response:
    query = request.url.query
    return RedirectResponse(f"/ui/?{query}" if query else "/ui/", 308)
