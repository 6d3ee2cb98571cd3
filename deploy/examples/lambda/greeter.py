"""Handlers as a Lambda function; its handler setting is `greeter.handler`."""

import restate

greeter = restate.Service("LambdaGreeter")


@greeter.handler()
async def greet(_: restate.Context, name: str) -> str:
    return f"Hello {name}"


handler = restate.app([greeter])
"""Where Lambda runs this file it is what Lambda calls; elsewhere it is an ASGI application."""
