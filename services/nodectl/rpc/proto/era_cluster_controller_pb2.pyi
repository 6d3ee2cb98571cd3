from services.nodectl.rpc.proto import era_common_pb2 as _era_common_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttachmentRequest(_message.Message):
    __slots__ = ("node_name", "node_id")
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    node_name: str
    node_id: _era_common_pb2.NodeId
    def __init__(self, node_name: _Optional[str] = ..., node_id: _Optional[_Union[_era_common_pb2.NodeId, _Mapping]] = ...) -> None: ...

class AttachmentResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
