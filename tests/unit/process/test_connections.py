"""The HTTP server's connections: HTTP/2 ones end before their library cuts them, and no request is lost or answered twice by that."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import zttp

from perdure.process import connections
from perdure.process.http import serve_asgi

CALLS = connections.STREAMS_MAX + 500


class Application:
    """Answers after a turn of the loop, with the path; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[bytes] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # ASGI
        self.asked[scope["raw_path"]] += 1
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["raw_path"]})


class Client:
    """Keeps a number of requests in flight, and after GOAWAY sends those that were not begun over a new connection."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.todo = [b"/%d" % number for number in range(CALLS)]
        self.answered: list[bytes] = []
        self.opened = 0

    async def run(self, in_flight_max: int) -> None:
        while self.todo:
            await self._over_one_connection(in_flight_max)

    async def _over_one_connection(self, in_flight_max: int) -> None:
        host, port = self._address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        self.opened += 1
        http2 = zttp.Connection(zttp.CLIENT, protocol=zttp.HTTP2)
        http2.initiate_connection()
        in_flight: dict[int, bytes] = {}
        bodies: dict[int, bytes] = {}
        last_id: int | None = None
        while in_flight or (self.todo and last_id is None):
            while self.todo and len(in_flight) < in_flight_max and last_id is None:
                path = self.todo.pop()
                stream = http2.send_request(b"GET", path, b"2", [(b"host", b"a")])
                stream.end_message()
                in_flight[stream.stream_id] = path
            writer.write(http2.data_to_send())
            data = await reader.read(65_536)
            assert data, f"cut with {len(in_flight)} requests in flight"
            http2.receive_data(data)
            while (event := http2.next_event()) is not zttp.NEED_DATA:
                if isinstance(event, zttp.Data):
                    bodies[event.stream_id] = event.data
                elif isinstance(event, zttp.EndOfMessage):
                    path = in_flight.pop(event.stream_id)
                    assert bodies.pop(event.stream_id) == path
                    self.answered.append(path)
                elif isinstance(event, zttp.GoAway):
                    last_id = event.last_stream_id
                    self.todo += [in_flight.pop(stream_id) for stream_id in list(in_flight) if stream_id > last_id]
        writer.close()


@contextlib.asynccontextmanager
async def serving(application: Any) -> AsyncIterator[str]:
    """Serve an ASGI application; yield its address."""
    stopping, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    options = {"bind": "127.0.0.1", "port": 0, "grace_ms": 1_000, "on_listening": listening.set_result}
    server = asyncio.create_task(serve_asgi(application, draining=asyncio.Event(), stopping=stopping, **options))
    yield await listening
    stopping.set()
    await server


def test_a_connection_that_is_renewed_loses_no_request_and_runs_none_twice() -> None:
    async def run() -> None:
        application = Application()
        async with serving(application) as address:
            client = Client(address)
            await client.run(in_flight_max=50)
        assert sorted(client.answered) == sorted(application.asked)
        assert set(application.asked.values()) == {1}
        assert len(client.answered) == CALLS
        assert client.opened == 2

    asyncio.run(run())


def test_a_client_that_gives_up_many_requests_is_let_go_in_order_and_its_other_ones_are_answered() -> None:
    async def run() -> None:
        released = asyncio.Event()

        async def application(scope: Any, receive: Any, send: Any) -> None:  # ASGI
            if scope["raw_path"] == b"/slow":
                await released.wait()
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"done"})
            else:
                while (await receive())["type"] != "http.disconnect":
                    pass

        async with serving(application) as address:
            host, port = address.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            http2 = zttp.Connection(zttp.CLIENT, protocol=zttp.HTTP2)
            http2.initiate_connection()
            http2.send_request(b"GET", b"/slow", b"2", [(b"host", b"a")]).end_message()
            for _ in range(connections.RESETS_MAX + 128):
                given_up = http2.send_request(b"GET", b"/given-up", b"2", [(b"host", b"a")])
                given_up.end_message()
                given_up.reset(zttp.H2ErrorCode.CANCEL)
                writer.write(http2.data_to_send())
                await writer.drain()
            events: list[Any] = []
            while data := await reader.read(65_536):
                http2.receive_data(data)
                while (event := http2.next_event()) is not zttp.NEED_DATA:
                    events.append(event)
                    if isinstance(event, zttp.GoAway):
                        released.set()
            writer.close()
        assert [event.error_code for event in events if isinstance(event, zttp.GoAway)] == [zttp.H2ErrorCode.NO_ERROR] * 2
        assert b"".join(event.data for event in events if isinstance(event, zttp.Data)) == b"done"

    asyncio.run(run())
