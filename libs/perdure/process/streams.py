"""Calls that stream, over ASGI: each message of the client's is answered as it comes."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from perdure.codec.rpc.grpc import ServerCall
from perdure.codec.rpc.status import CallFailed, Status

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def answer_each(call: ServerCall, answer: Callable[[bytes], bytes], receive: Receive, send: Send) -> None:
    """Answer each message with one, until the client ends its side.

    Raises:
        CallFailed: A message is malformed, `answer` refuses it, or the client went away.
    """
    more_body = True
    while more_body:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise CallFailed(Status.CANCELLED, "the client went away")
        more_body = event.get("more_body", False)
        for message in call.receive_each(event.get("body", b"")):
            for part in call.send(answer(message)):
                await send(part)
