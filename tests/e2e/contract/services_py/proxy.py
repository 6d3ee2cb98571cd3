"""`Proxy`: calls whatever it is told to, by name; bodies are lists of byte values."""

from datetime import timedelta
from typing import Any

from restate import Context, RestateDurableCallFuture, SendHandle, Service

from tests.e2e.contract.services_py.surroundings import PREFIX

proxy = Service(f"{PREFIX}Proxy")


def _call(ctx: Context, request: dict[str, Any]) -> RestateDurableCallFuture[bytes]:
    return ctx.generic_call(
        request["serviceName"],
        request["handlerName"],
        bytes(request["message"]),
        request.get("virtualObjectKey"),
        idempotency_key=request.get("idempotencyKey"),
    )


def _send(ctx: Context, request: dict[str, Any]) -> SendHandle:
    delay_ms = request.get("delayMillis")
    return ctx.generic_send(
        request["serviceName"],
        request["handlerName"],
        bytes(request["message"]),
        request.get("virtualObjectKey"),
        send_delay=None if delay_ms is None else timedelta(milliseconds=delay_ms),
        idempotency_key=request.get("idempotencyKey"),
    )


@proxy.handler()
async def call(ctx: Context, request: dict[str, Any]) -> list[int]:
    return list(await _call(ctx, request))


@proxy.handler("oneWayCall")
async def one_way_call(ctx: Context, request: dict[str, Any]) -> str:
    return await _send(ctx, request).invocation_id()


@proxy.handler("manyCalls")
async def many_calls(ctx: Context, requests: list[dict[str, Any]]) -> None:
    awaited: list[RestateDurableCallFuture[bytes]] = []
    for request in requests:
        if request["oneWayCall"]:
            _send(ctx, request["proxyRequest"])
        elif request["awaitAtTheEnd"]:
            awaited.append(_call(ctx, request["proxyRequest"]))
        else:
            await _call(ctx, request["proxyRequest"])
    for call_in_flight in awaited:
        await call_in_flight
