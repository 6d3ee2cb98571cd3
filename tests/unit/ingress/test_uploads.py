"""Bodies of requests: what is held in memory, what passes into the store, and what is left where a request fails."""

import asyncio
from typing import Any

import pytest

from perdure.base.limits import BUS_BODY_BYTES_MAX
from services.ingress.departures import CallerGone
from services.ingress.refusals import Refused
from services.ingress.uploads import Body, Uploads
from tests.unit.ingress.builders import MemoryBlobs

LARGE = BUS_BODY_BYTES_MAX + 1
GONE = {"type": "http.disconnect"}


class Peak(MemoryBlobs):
    """Notes how much is held whenever a part has been written."""

    uploads: Uploads

    def __init__(self) -> None:
        super().__init__()
        self.held: list[int] = []

    def begin(self) -> Any:
        sink = super().begin()
        write = sink.write

        async def noted(part: bytes) -> None:
            await write(part)
            self.held.append(self.uploads.held_bytes)

        sink.write = noted
        return sink


def an_uploads(*, body_bytes_max: int = 10_000_000, held_bytes_max: int = 10_000_000) -> tuple[Uploads, Peak]:
    blobs = Peak()
    blobs.uploads = Uploads(blobs, body_bytes_max=body_bytes_max, held_bytes_max=held_bytes_max)
    return blobs.uploads, blobs


def read(uploads: Uploads, *parts: bytes, then: dict[str, str] | None = None) -> Body:
    """Read a body that comes in parts; `then` comes instead of the last."""
    messages: list[Any] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if then is None:
        messages[-1]["more_body"] = False
    else:
        messages.append(then)

    async def receive() -> Any:
        return messages.pop(0)

    return asyncio.run(uploads.read(receive))


def test_a_small_body_stays_in_memory() -> None:
    uploads, blobs = an_uploads()
    assert read(uploads, b"a", b"", b"b") == Body(b"ab")
    assert (uploads.held_bytes, blobs.blobs) == (0, {})


@pytest.mark.parametrize("part_bytes", [1_000, 65_536, LARGE, 5_000_000])
def test_a_large_body_passes_into_the_store_and_only_a_part_of_it_is_ever_held(part_bytes: int) -> None:
    uploads, blobs = an_uploads()
    whole = bytes(range(256)) * (5_000_000 // 256)
    body = read(uploads, *(whole[start : start + part_bytes] for start in range(0, len(whole), part_bytes)))
    assert body.data == b""
    assert blobs.blobs == {body.blob_id: whole}
    assert max(blobs.held) <= BUS_BODY_BYTES_MAX + part_bytes
    assert uploads.held_bytes == 0


def test_a_body_that_grows_too_large_leaves_nothing() -> None:
    uploads, blobs = an_uploads(body_bytes_max=2 * LARGE)
    with pytest.raises(Refused, match="413"):
        read(uploads, bytes(LARGE), bytes(LARGE), b"1")
    assert (uploads.held_bytes, blobs.blobs) == (0, {})


@pytest.mark.parametrize("parts", [(), (b"a",), (bytes(LARGE), b"a")])
def test_a_caller_that_leaves_leaves_nothing(parts: tuple[bytes, ...]) -> None:
    uploads, blobs = an_uploads()
    with pytest.raises(CallerGone):
        read(uploads, *parts, then=GONE)
    assert (uploads.held_bytes, blobs.blobs) == (0, {})


def test_more_than_may_be_held_is_refused_until_something_is_released() -> None:
    uploads, _ = an_uploads(held_bytes_max=10)
    uploads.hold(9)
    with pytest.raises(Refused, match="429") as refused:
        read(uploads, b"1", b"2")
    assert refused.value.retry_after_s == 1
    assert uploads.held_bytes == 9
    uploads.release(9)
    assert read(uploads, b"1", b"2") == Body(b"12")
