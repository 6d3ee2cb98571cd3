"""The bus as everything else sees it: fire-and-forget messages on subjects. It carries no truth; the store does."""

from collections.abc import Callable
from typing import Protocol

Receiver = Callable[[bytes, str], None]
"""Called on the event loop with the payload and the reply subject (empty where there is none). Must not block or raise."""


class NoResponders(Exception):
    """Nobody listens on the subject."""


class Subscription(Protocol):
    """An active subscription."""

    async def unsubscribe(self) -> None: ...


class Bus(Protocol):
    """Core NATS semantics: at most once, ordered per connection and subject."""

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> None:
        """Queue a message; everything queued in one turn of the loop leaves in one write. While disconnected, messages are dropped."""
        ...

    async def subscribe(self, subject: str, receiver: Receiver) -> Subscription:
        """Call `receiver` for each message on `subject`; returns once the server knows."""
        ...

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        """Return the first reply.

        Raises:
            NoResponders: At once, where nobody listens.
            TimeoutError: Nothing came in time.
        """
        ...

    async def gather(self, subject: str, payload: bytes, *, timeout_s: float, replies_max: int) -> list[bytes]:
        """Return the replies that come within `timeout_s`, at most `replies_max` of them (a scatter-gather)."""
        ...

    def on_no_responders(self, callback: Callable[[str], None]) -> None:
        """Call back with the subject of each published message with a reply that nobody listened to."""
        ...

    @property
    def is_connected(self) -> bool: ...

    async def close(self) -> None: ...
