"""The tokens that are good now, one for each audience and account; those that ask while one is fetched share it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from perdure.base.clock import Clock
from perdure.model.deployment import GoogleIdToken

RENEWED_BEFORE_S: Final = 300
"""A token lives for an hour; one that ends sooner than this is not shown to anybody any more."""
THREADS_MAX: Final = 2


class TokenRefused(Exception):
    """Google gave no token. Stays inside this package."""


class Token(msgspec.Struct, frozen=True):
    """A token, and when it ends in Unix time."""

    value: str
    expires_at_s: float


class Tokens:
    """Keeps tokens for the running event loop.

    Args:
        fetch: Returns a new one, or raises `TokenRefused`; called in threads.
    """

    def __init__(self, fetch: Callable[[GoogleIdToken], Token], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: dict[GoogleIdToken, Token] = {}
        self._fetching: dict[GoogleIdToken, asyncio.Task[str]] = {}
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="google-tokens")

    def current(self, wanted: GoogleIdToken) -> str | None:
        """Return a token that is good for a while, if there is one."""
        token = self._kept.get(wanted)
        is_good = token is not None and self._clock.now_ms() / 1_000 < token.expires_at_s - RENEWED_BEFORE_S
        return token.value if token is not None and is_good else None

    async def new(self, wanted: GoogleIdToken) -> str:
        """Return a token that was fetched for this, or for somebody who asked at the same time.

        Raises:
            TokenRefused: There is none.
        """
        fetching = self._fetching.get(wanted)
        if fetching is None:
            fetching = self._fetching[wanted] = asyncio.get_running_loop().create_task(self._renew(wanted))
        return await asyncio.shield(fetching)

    async def close(self) -> None:
        """Fetch no more."""
        fetching = list(self._fetching.values())
        for task in fetching:
            task.cancel()
        await asyncio.gather(*fetching, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _renew(self, wanted: GoogleIdToken) -> str:
        try:
            token = await asyncio.get_running_loop().run_in_executor(self._threads, self._fetch, wanted)
            self._kept[wanted] = token
            return token.value
        finally:
            del self._fetching[wanted]
