"""A service behind something that wants to know who calls, as Cloud Run does: what it was shown goes to the file of effects."""

import os
from pathlib import Path
from typing import Any, Final

import restate

EFFECTS: Final = Path(os.environ["EFFECTS_FILE"])
service: Final = restate.Service("Guarded")


@service.handler()
async def greet(ctx: restate.Context, name: str) -> str:
    return f"Hello {name}"


_services: Final = restate.app([service])


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Note the token of each request, and pass it on."""
    if scope["type"] == "http":
        shown = dict(scope["headers"])[b"x-serverless-authorization"].decode().removeprefix("Bearer ")
        with EFFECTS.open("a") as effects:
            effects.write(f"{scope['path']} {shown}\n")
    await _services(scope, receive, send)
