"""A service: its handlers are called by name and keep nothing."""

import restate

greeter = restate.Service("Greeter")


@greeter.handler()
async def greet(ctx: restate.Context, name: str) -> str:
    """Greet someone."""
    return f"Hello, {name}!"
