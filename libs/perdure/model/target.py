"""What is called: services, handlers and targets. Source: shared/spec/lifecycle.md, section 2."""

import enum

import msgspec

from perdure.base.limits import OBJECT_KEY_BYTES_MAX


class ServiceType(enum.StrEnum):
    """The kind of a service, as discovery names it."""

    SERVICE = "SERVICE"
    VIRTUAL_OBJECT = "VIRTUAL_OBJECT"
    WORKFLOW = "WORKFLOW"

    @property
    def is_keyed(self) -> bool:
        return self is not ServiceType.SERVICE


class HandlerType(enum.IntEnum):
    """What a handler of its service may do, and how it is admitted."""

    PLAIN = 0
    """Handler of a Service: no key, no state, unlimited concurrency."""
    EXCLUSIVE = 1
    """Handler of a Virtual Object that holds the object's lock; reads and writes state."""
    SHARED = 2
    """Handler of a Virtual Object or Workflow beside the exclusive one; reads state."""
    WORKFLOW = 3
    """The run of a Workflow: once per key; reads and writes state."""

    @property
    def reads_state(self) -> bool:
        return self is not HandlerType.PLAIN

    @property
    def writes_state(self) -> bool:
        return self in {HandlerType.EXCLUSIVE, HandlerType.WORKFLOW}


def is_too_long(key: str) -> bool:
    """Whether a key of an object or workflow takes more room in the keys of rows than one may; a zero byte takes two."""
    if len(key) <= OBJECT_KEY_BYTES_MAX // 4:
        return False
    return len(key.encode()) + key.count("\x00") > OBJECT_KEY_BYTES_MAX


class Target(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A handler of a service, with the key where the service is keyed (an empty key is a key)."""

    service: str
    handler: str
    key: str | None
    handler_type: HandlerType
    is_workflow: bool = False
    """Whether the service is a Workflow (its shared handlers may use promises)."""
