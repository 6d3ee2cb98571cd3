from services.nodectl.rpc.proto import common_pb2 as _common_pb2
from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PreconditionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRECONDITION_KIND_UNKNOWN: _ClassVar[PreconditionKind]
    NONE: _ClassVar[PreconditionKind]
    DOES_NOT_EXIST: _ClassVar[PreconditionKind]
    MATCHES_VERSION: _ClassVar[PreconditionKind]
PRECONDITION_KIND_UNKNOWN: PreconditionKind
NONE: PreconditionKind
DOES_NOT_EXIST: PreconditionKind
MATCHES_VERSION: PreconditionKind

class GetRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class VersionedValue(_message.Message):
    __slots__ = ("version", "bytes")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    version: _common_pb2.Version
    bytes: bytes
    def __init__(self, version: _Optional[_Union[_common_pb2.Version, _Mapping]] = ..., bytes: _Optional[bytes] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: VersionedValue
    def __init__(self, value: _Optional[_Union[VersionedValue, _Mapping]] = ...) -> None: ...

class GetVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: _common_pb2.Version
    def __init__(self, version: _Optional[_Union[_common_pb2.Version, _Mapping]] = ...) -> None: ...

class Precondition(_message.Message):
    __slots__ = ("kind", "version")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    kind: PreconditionKind
    version: _common_pb2.Version
    def __init__(self, kind: _Optional[_Union[PreconditionKind, str]] = ..., version: _Optional[_Union[_common_pb2.Version, _Mapping]] = ...) -> None: ...

class PutRequest(_message.Message):
    __slots__ = ("key", "value", "precondition")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PRECONDITION_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: VersionedValue
    precondition: Precondition
    def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[VersionedValue, _Mapping]] = ..., precondition: _Optional[_Union[Precondition, _Mapping]] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("key", "precondition")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PRECONDITION_FIELD_NUMBER: _ClassVar[int]
    key: str
    precondition: Precondition
    def __init__(self, key: _Optional[str] = ..., precondition: _Optional[_Union[Precondition, _Mapping]] = ...) -> None: ...
