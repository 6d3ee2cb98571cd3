"""What operators do to single invocations. Source: shared/spec/admin.md, section 5; shared/spec/lifecycle.md, 5.6 to 5.10."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.base.ids import InvalidId, InvocationId, format_invocation_id, parse_resource_id, partition_of
from perdure.bus.messages import Operated
from perdure.model.deployment import Deployment
from perdure.model.invocation import InvocationRecord, Status
from perdure.registry.schema import Schema
from perdure.store.chunks import get_chunked
from perdure.store.interface import ReadTransaction
from services.admin.bodies import read_parameter
from services.admin.context import AdminContext, context_of
from services.admin.errors import InvalidQueryParameter, OperationRefused, PlainError, json_response
from services.admin.paths import invocation_id_of
from services.admin.routing import Endpoint

_COMPLETED: Final = (409, "The invocation '{id}' was already completed.")
_NOT_COMPLETED: Final = (409, "The invocation '{id}' is not yet completed.")
_NOT_FOUND: Final = (404, "The requested invocation '{id}' does not exist")
_NOT_RUNNING: Final = (409, "The invocation '{id}' is not running, cannot be paused.")
_PINNED: Final = (
    409,
    "The invocation '{id}' is still running or the deployment id is not pinned yet, deployment id cannot be changed.",
)

REFUSALS: Final[dict[str, dict[str, tuple[int, str]]]] = {
    "cancel": {"already_completed": _COMPLETED},
    "kill": {"already_completed": _COMPLETED},
    "purge": {"not_completed": _NOT_COMPLETED},
    "purge_journal": {"not_completed": _NOT_COMPLETED},
    "pause": {"already_completed": _NOT_RUNNING, "not_running": _NOT_RUNNING},
    "resume": {
        "already_completed": (409, "The invocation '{id}' is completed, cannot be resumed."),
        "not_started": (425, "The invocation '{id}' is either inboxed or scheduled, cannot be resumed."),
        "cannot_change_deployment": _PINNED,
    },
    "restart_as_new": {
        "still_running": (409, "The invocation '{id}' is still running."),
        "not_started": (425, "The invocation '{id}' cannot be restarted because it's not running yet."),
        "cannot_change_deployment": _PINNED,
        "no_journal": (
            410,
            "The invocation '{id}' cannot be restarted because the input is not available. "
            "This indicates that the journal was already purged, or not retained at all.",
        ),
        "unsupported": (
            422,
            "Restarting the invocation '{id}' is not supported. Restarting workflows is not supported, "
            "and restarting invocations created using the old service protocol.",
        ),
        "open_prefix": (
            400,
            "The prefix of the journal '{id}' up to 'from' (included) contains some Commands without respective Completions.",
        ),
    },
}
"""action -> what an owner refuses with -> status and message"""

_OF_OTHER_STATUS: Final = {
    "resume": {
        Status.SCHEDULED: REFUSALS["resume"]["not_started"],
        Status.INBOXED: REFUSALS["resume"]["not_started"],
        Status.INVOKED: _PINNED,
        Status.COMPLETED: REFUSALS["resume"]["already_completed"],
    },
    "restart as new": {
        Status.SCHEDULED: REFUSALS["restart_as_new"]["not_started"],
        Status.INBOXED: REFUSALS["restart_as_new"]["not_started"],
        Status.INVOKED: REFUSALS["restart_as_new"]["still_running"],
        Status.SUSPENDED: REFUSALS["restart_as_new"]["still_running"],
        Status.PAUSED: REFUSALS["restart_as_new"]["still_running"],
    },
}
"""What refuses an action before anybody asks whether its deployment would do."""

ENTRY_INDEX_MAX: Final = (1 << 32) - 1

_ACCEPTED: Final = {"appended": 202, "done": 200, "already_paused": 200}


def operation(action: str) -> Endpoint:
    """Return the endpoint `PATCH /invocations/{invocation_id}/…` of an action without parameters."""

    async def endpoint(request: Request) -> Response:
        answer = await carry_out(context_of(request), action, invocation_id_of(request))
        return Response(status_code=_ACCEPTED[answer.outcome])

    return endpoint


async def resume(request: Request) -> Response:
    """`PATCH /invocations/{invocation_id}/resume?deployment=`: by default where it is pinned."""
    wanted = _deployment_parameter(request, default="keep")
    answer = await carry_out(context_of(request), "resume", invocation_id_of(request), wanted)
    return Response(status_code=_ACCEPTED[answer.outcome])


async def restart_as_new(request: Request) -> Response:
    """`PATCH /invocations/{invocation_id}/restart-as-new?from=&deployment=`: by default at the latest deployment."""
    from_entry = _from_parameter(request)
    wanted = _deployment_parameter(request, default="latest")
    answer = await carry_out(context_of(request), "restart_as_new", invocation_id_of(request), wanted, from_entry=from_entry)
    assert answer.new_invocation_id is not None
    return json_response(200, {"new_invocation_id": format_invocation_id(answer.new_invocation_id)})


async def carry_out(
    context: AdminContext, action: str, invocation_id: InvocationId, wanted: str | None = None, *, from_entry: int = 0
) -> Operated:
    """Carry out an action on an invocation. `wanted` is `keep`, `latest` or a deployment id, for resume and restart_as_new.

    Raises:
        OperationRefused: Its owner, or a look at the deployment, says that it cannot be.
        RoutingFailed: No owner answered.
    """
    doing = "restart as new" if action == "restart_as_new" else action
    deployment = None if wanted is None else await _deployment_for(context, invocation_id, wanted, doing)
    answer = await context.owners.operate(invocation_id, action, deployment=deployment, from_entry=from_entry)
    if answer.outcome not in _ACCEPTED:
        refusal = _NOT_FOUND if answer.outcome == "not_found" else REFUSALS[action][answer.outcome]
        raise OperationRefused(refusal[0], refusal[1].format(id=format_invocation_id(invocation_id)))
    return answer


async def delete_invocation(request: Request) -> Response:
    """`DELETE /invocations/{invocation_id}?mode=`, deprecated: asks, and answers without looking at the outcome."""
    mode = read_parameter(request, "mode")
    mode = "cancel" if mode is None else mode
    if mode.lower() not in {"cancel", "kill", "purge"} or mode[1:] != mode[1:].lower():
        known = "`Cancel`, `cancel`, `Kill`, `kill`, `Purge`, `purge`"
        raise PlainError(400, f"Failed to deserialize query string: mode: unknown variant `{mode}`, expected one of {known}")
    await context_of(request).owners.operate(invocation_id_of(request), mode.lower())
    return Response(status_code=202)


def _from_parameter(request: Request) -> int:
    """Return the index of the last journal entry that is kept, by default that of the input."""
    text = read_parameter(request, "from")
    if text is None:
        return 0
    number = text.removeprefix("+")
    if not text:
        reason = "cannot parse integer from empty string"
    elif not (number.isascii() and number.isdigit()):
        reason = "invalid digit found in string"
    elif int(number) > ENTRY_INDEX_MAX:
        reason = "number too large to fit in target type"
    else:
        return int(number)
    raise PlainError(400, f"Failed to deserialize query string: from: {reason}")


def _deployment_parameter(request: Request, *, default: str) -> str:
    text = read_parameter(request, "deployment")
    try:
        return deployment_choice(default if text is None else text)
    except InvalidId as error:
        raise InvalidQueryParameter("deployment", str(error)) from None


def deployment_choice(text: str) -> str:
    """Return `keep`, `latest` or a deployment id.

    Raises:
        InvalidId: It is none of these.
    """
    if text in {"keep", "Keep", "latest", "Latest"}:
        return text.lower()
    parse_resource_id("dp", text)
    return text


async def _deployment_for(context: AdminContext, invocation_id: InvocationId, wanted: str, doing: str) -> str | None:
    """Return the id of the deployment to move to, None to keep what is pinned.

    Raises:
        OperationRefused: It does not exist, or does not speak the protocol version that the journal was written in.
    """
    if wanted == "keep":
        return None
    record = await _record(context, invocation_id)
    if record is None:
        return None  # the owner tells that it is not there
    in_the_way = _OF_OTHER_STATUS[doing].get(record.status)
    if in_the_way is not None:
        raise OperationRefused(in_the_way[0], in_the_way[1].format(id=format_invocation_id(invocation_id)))
    deployment = _chosen(await context.schema(), record, wanted)
    if record.pin is None:
        if wanted != "latest":
            raise OperationRefused(_PINNED[0], _PINNED[1].format(id=format_invocation_id(invocation_id)))
        return None
    if deployment is None:
        text = f"The given deployment was not found when trying to {doing} the invocation '{format_invocation_id(invocation_id)}'."
        raise OperationRefused(400, text)
    version = record.pin.protocol_version
    if not deployment.protocol_version_min <= version <= deployment.protocol_version_max:
        text = (
            f"The invocation '{format_invocation_id(invocation_id)}' is running on protocol version '{version}', while the chosen "
            f"deployment '{deployment.id}' supports the range {deployment.protocol_version_min}..={deployment.protocol_version_max}."
        )
        raise OperationRefused(400, text)
    return deployment.id


def _chosen(schema: Schema, record: InvocationRecord, wanted: str) -> Deployment | None:
    return schema.deployment_of(record.target.service) if wanted == "latest" else schema.deployments.get(wanted)


async def _record(context: AdminContext, invocation_id: InvocationId) -> InvocationRecord | None:
    """Return the record as last committed, of an invocation that has ended or not."""
    keys = context.keyspace.partition(partition_of(invocation_id, context.partitions))

    def read(tr: ReadTransaction) -> bytes | None:
        return get_chunked(tr, keys.unfinished(invocation_id)) or get_chunked(tr, keys.invocation(invocation_id))

    value = await context.store.read(read)
    return None if value is None else msgspec.msgpack.decode(value, type=InvocationRecord)
