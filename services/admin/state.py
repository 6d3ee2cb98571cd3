"""`POST /services/{service}/state`: replace the state of an object or workflow.

Source: shared/spec/admin.md, 4.4; shared/spec/lifecycle.md, section 7; shared/spec/seed-era.md, 5.2 (`service_key`).
"""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.base.ids import partition_of_key, ulid
from perdure.base.limits import BUS_BODY_BYTES_MAX, OBJECT_KEY_BYTES_MAX, ROW_KEY_BYTES_MAX
from perdure.bus.messages import MutateState
from perdure.model.state import StateMutation
from perdure.model.target import is_too_long
from perdure.store.blobs import put_blob
from services.admin.bodies import read_json
from services.admin.context import AdminContext, context_of
from services.admin.errors import InvalidField, NotFound, OperationRefused, PlainError

_NOT_THE_TYPE: Final = "Failed to deserialize the JSON body into the target type: "
NAME_BYTES_MAX: Final = (ROW_KEY_BYTES_MAX - OBJECT_KEY_BYTES_MAX) // 3
"""Longest name of a state: what is left of a row's key, whatever the service's name is and the name's bytes are."""
_encode: Final = msgspec.msgpack.Encoder().encode


class _Body(msgspec.Struct, frozen=True):
    new_state: dict[str, Any]  # Any: bytes as a list of numbers or as text, checked one by one
    object_key: str | None = None
    service_key: str | None = None
    """What clients of the seed era call `object_key`."""
    version: str | None = None
    scope: str | None = None
    """Refused: state that belongs to no scope must not be replaced in its place."""


async def modify_state(request: Request) -> Response:
    """Queue the mutation behind what holds the object; 202 says that it is stored, not that it will be applied."""
    context, service = context_of(request), request.path_params["service"]
    key, mutation = _read(await read_json(request))
    await _check_service(context, service, mutation)
    mutate = MutateState(0, partition_of_key(key, context.partitions), service, key, mutation)
    if sum(len(name) + len(value) for name, value in mutation.entries) > BUS_BODY_BYTES_MAX:
        mutate = await _by_blob(context, mutate)
    await context.owners.mutate_state(mutate)
    return Response(status_code=202)


def _read(document: Any) -> tuple[str, StateMutation]:  # Any: a JSON value
    """Return key and mutation.

    Raises:
        PlainError: A member is missing or of a wrong type.
        InvalidField: It is about state of a scope.
    """
    try:
        body = msgspec.convert(document, _Body)
        entries = [(name.encode(), _bytes_of(value)) for name, value in body.new_state.items()]
    except msgspec.ValidationError as error:
        raise PlainError(422, f"{_NOT_THE_TYPE}{error}") from None
    if body.scope is not None:
        raise InvalidField("scope", "this server keeps no state by scope; without `scope`, the state of the object itself is replaced")
    key = body.object_key if body.object_key is not None else body.service_key
    if key is None:
        raise PlainError(422, f"{_NOT_THE_TYPE}missing field `object_key`")
    if is_too_long(key) or any(len(name) > NAME_BYTES_MAX for name, _ in entries):
        raise PlainError(422, f"the key may have {OBJECT_KEY_BYTES_MAX} bytes, each name of a state {NAME_BYTES_MAX}")
    return key, StateMutation(tuple(sorted(entries)), body.version)


def _bytes_of(value: Any) -> bytes:  # Any: a JSON value
    if isinstance(value, str):
        return value.encode()
    try:
        return bytes(msgspec.convert(value, list[int]))
    except ValueError as error:
        raise msgspec.ValidationError(str(error)) from None


async def _check_service(context: AdminContext, name: str, mutation: StateMutation) -> None:
    """Refuse what can have no state.

    Raises:
        NotFound: No such service; the state that a removed one left can still be cleared.
        OperationRefused: The service has no keys.
    """
    service = (await context.schema()).services.get(name)
    if service is None:
        if mutation.entries:
            raise NotFound(f"The requested service '{name}' does not exist")
    elif not service.service_type.is_keyed:
        raise OperationRefused(400, "Cannot modify state for service type Service")


async def _by_blob(context: AdminContext, mutate: MutateState) -> MutateState:
    blob_id = ulid(context.clock.now_ms(), context.random.bytes(10))
    await put_blob(context.store, context.keyspace, blob_id, _encode(mutate.mutation))
    return msgspec.structs.replace(mutate, mutation=StateMutation((), mutate.mutation.version), mutation_blob_id=blob_id)
