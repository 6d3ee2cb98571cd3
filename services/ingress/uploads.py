"""Bodies of requests: small ones are read into memory, large ones pass into the store as they come.

All that is in memory at a moment has a limit, however many callers send slowly or wait for long.
"""

from typing import Protocol, cast

import msgspec

from perdure.base.limits import BUS_BODY_BYTES_MAX
from services.ingress import refusals
from services.ingress.asgi import Receive
from services.ingress.departures import CallerGone


class BlobSink(Protocol):
    """A body on its way into the store."""

    blob_id: bytes

    async def write(self, part: bytes) -> None:
        """Add bytes."""
        ...

    async def finish(self) -> None:
        """Make it durable as a whole."""
        ...


class Blobs(Protocol):
    """Bodies that are too large for the bus."""

    def begin(self) -> BlobSink:
        """Return where the parts of a new one go."""
        ...

    async def take(self, blob_id: bytes) -> bytes:
        """Return stored bytes and delete them."""
        ...

    def drop(self, blob_id: bytes) -> None:
        """Delete a blob that nobody will take, in the background."""
        ...


class Body(msgspec.Struct, frozen=True, gc=False):
    """A whole body, in memory or in the store."""

    data: bytes
    blob_id: bytes | None = None


class Uploads:
    """Reads bodies within a limit for each, and counts what is held in memory against one for all."""

    def __init__(self, blobs: Blobs, *, body_bytes_max: int, held_bytes_max: int) -> None:
        self.body_bytes_max = body_bytes_max
        self.held_bytes = 0
        self._blobs = blobs
        self._held_bytes_max = held_bytes_max

    def hold(self, size: int) -> None:
        """Count bytes that stay in memory until they are released.

        Raises:
            Refused: Too much is held already.
        """
        if self.held_bytes + size > self._held_bytes_max:
            raise refusals.overloaded()
        self.held_bytes += size

    def release(self, size: int) -> None:
        """Count bytes no longer."""
        self.held_bytes -= size

    async def read(self, receive: Receive) -> Body:
        """Return the body of a request; a large one is in the store then.

        Raises:
            Refused: It is too large, or too much is held already.
            CallerGone: Nobody sends it any more.
        """
        data, has_more = await _next_part(receive)
        if not has_more and len(data) <= BUS_BODY_BYTES_MAX and len(data) <= self.body_bytes_max:
            return Body(data)
        return await _Upload(self, self._blobs, BUS_BODY_BYTES_MAX, self.body_bytes_max).read(data, has_more, receive)

    async def read_whole(self, receive: Receive, *, bytes_max: int | None = None) -> bytes:
        """Return the body of a request, in memory whatever its size.

        Args:
            bytes_max: Other than the limit of all bodies, where a protocol puts something around them.

        Raises:
            Refused: It is too large, or too much is held already.
            CallerGone: Nobody sends it any more.
        """
        limit = self.body_bytes_max if bytes_max is None else bytes_max
        data, has_more = await _next_part(receive)
        if not has_more and len(data) <= limit:
            return data
        return (await _Upload(self, self._blobs, limit, limit).read(data, has_more, receive)).data

    async def store(self, data: bytes) -> bytes:
        """Put bytes into the store; return their id."""
        sink = self._blobs.begin()
        await sink.write(data)
        await sink.finish()
        return sink.blob_id

    def drop(self, body: Body) -> None:
        """Delete what was stored of a body that nobody will ask for."""
        if body.blob_id is not None:
            self._blobs.drop(body.blob_id)


class _Upload:
    """One body that comes in parts; beyond `memory_bytes_max` they pass into the store."""

    def __init__(self, uploads: Uploads, blobs: Blobs, memory_bytes_max: int, bytes_max: int) -> None:
        self._uploads = uploads
        self._blobs = blobs
        self._memory_bytes_max = memory_bytes_max
        self._bytes_max = bytes_max
        self._sink: BlobSink | None = None
        self._parts: list[bytes] = []
        self._held = 0

    async def read(self, part: bytes, has_more: bool, receive: Receive) -> Body:
        size = 0
        try:
            while True:
                size += len(part)
                if size > self._bytes_max:
                    raise refusals.body_too_large()
                await self._add(part)
                if not has_more:
                    return await self._whole()
                part, has_more = await _next_part(receive)
        except BaseException:
            if self._sink is not None:
                self._blobs.drop(self._sink.blob_id)
            raise
        finally:
            self._uploads.release(self._held)

    async def _add(self, part: bytes) -> None:
        self._uploads.hold(len(part))
        self._held += len(part)
        self._parts.append(part)
        if self._held > self._memory_bytes_max:
            self._sink = self._sink or self._blobs.begin()
            await self._sink.write(b"".join(self._parts))
            self._parts.clear()
            self._uploads.release(self._held)
            self._held = 0

    async def _whole(self) -> Body:
        rest = b"".join(self._parts)
        if self._sink is None:
            return Body(rest)
        await self._sink.write(rest)
        await self._sink.finish()
        return Body(b"", self._sink.blob_id)


async def _next_part(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise CallerGone
    return cast("bytes", message["body"]), message["more_body"]
