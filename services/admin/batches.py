"""Operators' actions on many invocations: on listed ids, answered one by one, or on all that match a filter.

Source: shared/spec/admin.md, section 5.1. The form with a filter is this server's own.
"""

import asyncio
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.base.errors import PerdureError
from perdure.base.ids import InvalidId, InvocationId, format_invocation_id, parse_invocation_id
from perdure.bus.messages import InvocationFilter
from services.admin.bodies import read_record, unprocessable
from services.admin.context import AdminContext, context_of
from services.admin.errors import InvalidField, OperationRefused, json_response
from services.admin.invocations import carry_out, deployment_choice
from services.admin.routing import Endpoint

BATCH_SIZE_MAX: Final = 1000
UNDER_WAY_MAX: Final = 64
"""Actions of one batch that owners are asked for at a time."""

_STORED: Final = {
    "scheduled": "scheduled",
    "pending": "inboxed",
    "inboxed": "inboxed",
    "ready": "invoked",
    "running": "invoked",
    "backing-off": "invoked",
    "invoked": "invoked",
    "suspended": "suspended",
    "paused": "paused",
    "completed": "completed",
}
"""status as shown -> as stored: a filter cannot tell how an invoked one is doing"""
_DEFAULTS: Final = {"resume": "keep", "restart_as_new": "latest"}


class _Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    services: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()


class _Batch(msgspec.Struct, frozen=True):
    invocation_ids: tuple[str, ...] | None = None
    filter: _Filter | None = None
    deployment: str | None = None


def batch_operation(action: str) -> Endpoint:
    """Return the endpoint `POST /internal/invocations_batch_operations/…` of an action."""

    async def endpoint(request: Request) -> Response:
        batch = await read_record(request, _Batch)
        context = context_of(request)
        if batch.filter is not None and batch.invocation_ids is None:
            return await _on_all(context, action, batch.filter, batch.deployment)
        return await _on_listed(context, action, batch)

    return endpoint


async def _on_listed(context: AdminContext, action: str, batch: _Batch) -> Response:
    if batch.invocation_ids is None:
        raise unprocessable("missing field `invocation_ids`")
    ids = [_parsed(index, text) for index, text in enumerate(batch.invocation_ids)]
    if len(ids) > BATCH_SIZE_MAX:
        raise OperationRefused(400, f"Batch size {len(ids)} exceeds maximum allowed size of {BATCH_SIZE_MAX}")
    wanted = _deployment(action, batch.deployment)
    slots = asyncio.Semaphore(UNDER_WAY_MAX)

    async def outcome(invocation_id: InvocationId) -> str | dict[str, str] | PerdureError:
        async with slots:
            try:
                answer = await carry_out(context, action, invocation_id, wanted)
            except PerdureError as error:
                return error
        text = format_invocation_id(invocation_id)
        if answer.new_invocation_id is None:
            return text
        return {"old_invocation_id": text, "new_invocation_id": format_invocation_id(answer.new_invocation_id)}

    outcomes = await asyncio.gather(*map(outcome, ids))
    succeeded = [each for each in outcomes if not isinstance(each, PerdureError)]
    failed = [_failure(ids[index], each) for index, each in enumerate(outcomes) if isinstance(each, PerdureError)]
    return json_response(200, {"succeeded": succeeded, "failed": failed})


def _parsed(index: int, text: str) -> InvocationId:
    try:
        return parse_invocation_id(text)
    except InvalidId as error:
        raise unprocessable(f"invocation_ids[{index}]: {error}") from None


def _deployment(action: str, text: str | None) -> str | None:
    """Return where to resume or restart; None for actions that move nothing."""
    default = _DEFAULTS.get(action)
    if default is None:
        return None
    try:
        return deployment_choice(text or default)
    except InvalidId as error:
        raise InvalidField("deployment", str(error)) from None


def _failure(invocation_id: InvocationId, error: PerdureError) -> dict[str, Any]:
    """Return why one was refused: the sentence of the single form, without its article and end."""
    text = format_invocation_id(invocation_id)
    if error.message == f"The requested invocation '{text}' does not exist":
        return {"invocation_id": text, "error": f"Invocation '{text}' not found"}
    message = error.message.removeprefix("The ").removesuffix(".")
    return {"invocation_id": text, "error": message[:1].upper() + message[1:]}


async def _on_all(context: AdminContext, action: str, wanted: _Filter, deployment: str | None) -> Response:
    """Hand the action to the owner of every partition; each goes through its invocations on its own time, and over restarts."""
    if action == "restart_as_new" or deployment not in {None, "keep", "Keep"}:
        raise InvalidField("filter", "by filter, invocations can be neither restarted nor moved to another deployment")
    unknown = [status for status in wanted.statuses if status not in _STORED]
    if unknown:
        raise InvalidField("filter", f"unknown status '{unknown[0]}', expected one of {', '.join(_STORED)}")
    stored = tuple(dict.fromkeys(_STORED[status] for status in wanted.statuses))
    filtered = InvocationFilter(wanted.services, wanted.handlers, wanted.keys, stored)
    partitions = range(context.partitions)
    await asyncio.gather(*(context.owners.operate_many(partition, action, filtered) for partition in partitions))
    return json_response(202, {"partitions": context.partitions})
