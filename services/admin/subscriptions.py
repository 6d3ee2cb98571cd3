"""Creating, showing, pausing and removing subscriptions. Source: shared/spec/admin.md, section 6."""

import re
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.base.ids import InvalidId, parse_resource_id
from perdure.registry import subscriptions as registry
from services.admin.bodies import read_parameter, read_record, unprocessable
from services.admin.context import context_of
from services.admin.errors import NotFound, PlainError, json_response
from services.admin.views import subscription_view

_URI: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")


class _NewSubscription(msgspec.Struct, frozen=True):
    source: str
    sink: str
    options: dict[str, str] | None = None


async def create_subscription(request: Request) -> Response:
    """`POST /subscriptions`."""
    context, body = context_of(request), await read_record(request, _NewSubscription)
    _check_uri("source", body.source)
    _check_uri("sink", body.sink)
    subscription_id, now_ms = context.new_subscription_id(), context.clock.now_ms()
    subscription, _ = await context.change(
        lambda tr: registry.create_subscription(
            tr,
            context.keyspace,
            context.clusters,
            subscription_id=subscription_id,
            source=body.source,
            sink=body.sink,
            options=body.options or {},
            created_at_ms=now_ms,
        ),
        lambda result: result[1],
    )
    return json_response(201, subscription_view(subscription, None), {"location": f"subscriptions/{subscription_id}"})


async def list_subscriptions(request: Request) -> Response:
    """`GET /subscriptions`: all, or those with exactly this `source` and `sink`."""
    context = context_of(request)
    schema, failures = await context.schema(), context.subscription_failures()
    source, sink = read_parameter(request, "source"), read_parameter(request, "sink")
    found = [each for each in schema.subscriptions.values() if source in (None, each.source) and sink in (None, each.sink)]
    return json_response(200, {"subscriptions": [subscription_view(each, failures.get(each.id)) for each in found]})


async def get_subscription(request: Request) -> Response:
    """`GET /subscriptions/{subscription}`."""
    context, subscription_id = context_of(request), _subscription_id(request)
    subscription = (await context.schema()).subscriptions.get(subscription_id)
    if subscription is None:
        raise NotFound(f"The requested subscription '{subscription_id}' does not exist")
    return json_response(200, subscription_view(subscription, context.subscription_failures().get(subscription_id)))


async def delete_subscription(request: Request) -> Response:
    """`DELETE /subscriptions/{subscription}`: no record is admitted after the answer; invocations go on."""
    context, subscription_id = context_of(request), _subscription_id(request)
    await context.change(lambda tr: registry.delete_subscription(tr, context.keyspace, subscription_id), lambda version: version)
    return Response(status_code=202)


async def pause_subscription(request: Request) -> Response:
    """`PATCH /subscriptions/{subscription}/pause`: no record is admitted after the answer, until it is resumed."""
    return await _set_paused(request, is_paused=True)


async def resume_subscription(request: Request) -> Response:
    """`PATCH /subscriptions/{subscription}/resume`: go on where it was."""
    return await _set_paused(request, is_paused=False)


async def _set_paused(request: Request, *, is_paused: bool) -> Response:
    context, subscription_id = context_of(request), _subscription_id(request)
    subscription, _ = await context.change(
        lambda tr: registry.pause_subscription(tr, context.keyspace, subscription_id, is_paused=is_paused), lambda result: result[1]
    )
    return json_response(200, subscription_view(subscription, context.subscription_failures().get(subscription_id)))


def _check_uri(field: str, text: str) -> None:
    if not _URI.fullmatch(text):
        raise unprocessable(f"{field}: invalid uri character")
    if ":///" in text:
        raise unprocessable(f"{field}: invalid format")


def _subscription_id(request: Request) -> str:
    text: str = request.path_params["subscription"]
    try:
        parse_resource_id("sub", text)
    except InvalidId as error:
        raise PlainError(400, f"Invalid URL: Cannot parse `subscription` with value `{text}`: {error}") from None
    return text
