from perdure.codec.service_protocol import messages_pb2 as _messages_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Result(_message.Message):
    __slots__ = ("empty", "value", "failure")
    EMPTY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    empty: _messages_pb2.Void
    value: bytes
    failure: _messages_pb2.Failure
    def __init__(self, empty: _Optional[_Union[_messages_pb2.Void, _Mapping]] = ..., value: _Optional[bytes] = ..., failure: _Optional[_Union[_messages_pb2.Failure, _Mapping]] = ...) -> None: ...

class Completion(_message.Message):
    __slots__ = ("entry_index",)
    ENTRY_INDEX_FIELD_NUMBER: _ClassVar[int]
    entry_index: int
    def __init__(self, entry_index: _Optional[int] = ...) -> None: ...

class EntryAck(_message.Message):
    __slots__ = ("entry_index",)
    ENTRY_INDEX_FIELD_NUMBER: _ClassVar[int]
    entry_index: int
    def __init__(self, entry_index: _Optional[int] = ...) -> None: ...

class Suspension(_message.Message):
    __slots__ = ("entry_indexes",)
    ENTRY_INDEXES_FIELD_NUMBER: _ClassVar[int]
    entry_indexes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, entry_indexes: _Optional[_Iterable[int]] = ...) -> None: ...

class Named(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("headers", "name", "value")
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    headers: _containers.RepeatedCompositeFieldContainer[_messages_pb2.Header]
    name: str
    value: bytes
    def __init__(self, headers: _Optional[_Iterable[_Union[_messages_pb2.Header, _Mapping]]] = ..., name: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class StateKey(_message.Message):
    __slots__ = ("key", "name")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    name: str
    def __init__(self, key: _Optional[bytes] = ..., name: _Optional[str] = ...) -> None: ...

class SetState(_message.Message):
    __slots__ = ("key", "value", "name")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    name: str
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ..., name: _Optional[str] = ...) -> None: ...

class PromiseKey(_message.Message):
    __slots__ = ("key", "name")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class CompletePromise(_message.Message):
    __slots__ = ("key", "completion_value", "completion_failure", "name")
    KEY_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_VALUE_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_FAILURE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    key: str
    completion_value: bytes
    completion_failure: _messages_pb2.Failure
    name: str
    def __init__(self, key: _Optional[str] = ..., completion_value: _Optional[bytes] = ..., completion_failure: _Optional[_Union[_messages_pb2.Failure, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...

class Sleep(_message.Message):
    __slots__ = ("wake_up_time", "name")
    WAKE_UP_TIME_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    wake_up_time: int
    name: str
    def __init__(self, wake_up_time: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...

class Call(_message.Message):
    __slots__ = ("service_name", "handler_name", "parameter", "headers", "key", "idempotency_key", "name")
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    HANDLER_NAME_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    service_name: str
    handler_name: str
    parameter: bytes
    headers: _containers.RepeatedCompositeFieldContainer[_messages_pb2.Header]
    key: str
    idempotency_key: str
    name: str
    def __init__(self, service_name: _Optional[str] = ..., handler_name: _Optional[str] = ..., parameter: _Optional[bytes] = ..., headers: _Optional[_Iterable[_Union[_messages_pb2.Header, _Mapping]]] = ..., key: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class OneWayCall(_message.Message):
    __slots__ = ("service_name", "handler_name", "parameter", "invoke_time", "headers", "key", "idempotency_key", "name")
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    HANDLER_NAME_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_FIELD_NUMBER: _ClassVar[int]
    INVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    service_name: str
    handler_name: str
    parameter: bytes
    invoke_time: int
    headers: _containers.RepeatedCompositeFieldContainer[_messages_pb2.Header]
    key: str
    idempotency_key: str
    name: str
    def __init__(self, service_name: _Optional[str] = ..., handler_name: _Optional[str] = ..., parameter: _Optional[bytes] = ..., invoke_time: _Optional[int] = ..., headers: _Optional[_Iterable[_Union[_messages_pb2.Header, _Mapping]]] = ..., key: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class CompleteAwakeable(_message.Message):
    __slots__ = ("id", "name")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class Addressed(_message.Message):
    __slots__ = ("invocation_id", "call_entry_index", "idempotent_request_target", "workflow_target", "name")
    INVOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    CALL_ENTRY_INDEX_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENT_REQUEST_TARGET_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TARGET_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    invocation_id: str
    call_entry_index: int
    idempotent_request_target: _messages_pb2.IdempotentRequestTarget
    workflow_target: _messages_pb2.WorkflowTarget
    name: str
    def __init__(self, invocation_id: _Optional[str] = ..., call_entry_index: _Optional[int] = ..., idempotent_request_target: _Optional[_Union[_messages_pb2.IdempotentRequestTarget, _Mapping]] = ..., workflow_target: _Optional[_Union[_messages_pb2.WorkflowTarget, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...

class GetCallInvocationId(_message.Message):
    __slots__ = ("call_entry_index", "name")
    CALL_ENTRY_INDEX_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    call_entry_index: int
    name: str
    def __init__(self, call_entry_index: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...
