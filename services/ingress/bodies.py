"""Targets that a JSON body names, for attach, output and lookup. Source: shared/spec/ingress.md, section 12."""

from typing import Final

import msgspec

from perdure.base.ids import (
    InvocationId,
    idempotent_invocation_id,
    scoped_idempotent_invocation_id,
    scoped_workflow_invocation_id,
    workflow_invocation_id,
)
from services.ingress import refusals
from services.ingress.admission import check_scope_syntax
from services.ingress.directory import Directory, HandlerEntry
from services.ingress.routes import invocation_id_of


class _Target(msgspec.Struct, tag_field="target", rename="camel", frozen=True):
    pass


class _Workflow(_Target, tag="workflow", frozen=True):
    workflow_name: str
    workflow_key: str
    scope: str | None = None


class _Idempotent(_Target, tag="idempotentInvocation", frozen=True):
    service: str
    handler: str
    idempotency_key: str
    key: str | None = None
    scope: str | None = None


class _ById(_Target, tag="invocation", frozen=True):
    invocation_id: str


_decoder: Final["msgspec.json.Decoder[_Workflow | _Idempotent | _ById]"] = msgspec.json.Decoder(_Workflow | _Idempotent | _ById)


class NamedTarget(msgspec.Struct, frozen=True):
    """An invocation and, where the body named a handler, its entry."""

    invocation_id: InvocationId
    entry: HandlerEntry | None
    names_handler: bool


def target_of(body: bytes, directory: Directory, *, is_lookup: bool = False) -> NamedTarget:
    """Return the invocation that a body names. Nothing runs in a scope, but what would has an id.

    Raises:
        Refused: The body is malformed.
    """
    try:
        target = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refusals.bad_body(f"invalid {'lookup' if is_lookup else 'request'} body: {error}") from None
    match target:
        case _ById():
            return NamedTarget(invocation_id_of(target.invocation_id), None, False)
        case _Workflow():
            service = directory.services.get(target.workflow_name.encode())
            return NamedTarget(_run_id(target), None if service is None else service.run, True)
        case _Idempotent():
            return NamedTarget(_idempotent_id(target), directory.find(target.service, target.handler), True)


def _run_id(target: _Workflow) -> InvocationId:
    if target.scope is None:
        return workflow_invocation_id(target.workflow_name, target.workflow_key)
    check_scope_syntax(target.scope)
    return scoped_workflow_invocation_id(target.scope, target.workflow_name, target.workflow_key)


def _idempotent_id(target: _Idempotent) -> InvocationId:
    if target.scope is None:
        return idempotent_invocation_id(target.service, target.key, target.handler, target.idempotency_key)
    check_scope_syntax(target.scope)
    return scoped_idempotent_invocation_id(target.scope, target.service, target.key, target.handler, target.idempotency_key)
