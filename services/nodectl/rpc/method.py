"""What a method is: how its request is read, and what answers it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec
from google.protobuf.message import DecodeError, Message

from perdure.codec.rpc.status import CallFailed, Status


class Method(msgspec.Struct, frozen=True):
    """A method that takes one message.

    Attributes:
        request_class: What it takes.
        answers: The request and the URL under which the client reached us -> one message or, of a stream, several.
    """

    request_class: type[Message]
    answers: Callable[[Any, str], AsyncIterator[Message]]  # a message of `request_class`

    def parse(self, message: bytes) -> Message:
        """Return the request.

        Raises:
            CallFailed: INTERNAL, the bytes are none.
        """
        try:
            return self.request_class.FromString(message)
        except DecodeError as error:
            raise CallFailed(Status.INTERNAL, f"the request is not a {self.request_class.DESCRIPTOR.name}: {error}") from None


Methods = Mapping[str, Method]
"""`/package.Service/Method` -> what answers it."""


def unary(request_class: type[Message], answer: Callable[[Any, str], Awaitable[Message]]) -> Method:
    """Return a method with one answer."""

    async def answers(request: Any, base_url: str) -> AsyncIterator[Message]:
        yield await answer(request, base_url)

    return Method(request_class, answers)
