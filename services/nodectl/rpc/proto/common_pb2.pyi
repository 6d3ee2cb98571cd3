from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AddressKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ADDRESS_KIND_UNKNOWN: _ClassVar[AddressKind]
    TCP: _ClassVar[AddressKind]
    HTTP: _ClassVar[AddressKind]
    UNIX: _ClassVar[AddressKind]

class NodeStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_STATUS_UNKNOWN: _ClassVar[NodeStatus]
    ALIVE: _ClassVar[NodeStatus]
    NODE_STARTING_UP: _ClassVar[NodeStatus]
    SHUTTING_DOWN: _ClassVar[NodeStatus]

class AdminStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ADMIN_STATUS_UNKNOWN: _ClassVar[AdminStatus]
    ADMIN_READY: _ClassVar[AdminStatus]
    ADMIN_STARTING_UP: _ClassVar[AdminStatus]

class WorkerStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_STATUS_UNKNOWN: _ClassVar[WorkerStatus]
    WORKER_READY: _ClassVar[WorkerStatus]
    WORKER_STARTING_UP: _ClassVar[WorkerStatus]

class LogServerStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOG_SERVER_STATUS_UNKNOWN: _ClassVar[LogServerStatus]
    LOG_SERVER_READY: _ClassVar[LogServerStatus]
    LOG_SERVER_STARTING_UP: _ClassVar[LogServerStatus]
    LOG_SERVER_FAILSAFE: _ClassVar[LogServerStatus]
    LOG_SERVER_STOPPING: _ClassVar[LogServerStatus]

class MetadataServerStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METADATA_SERVER_STATUS_UNKNOWN: _ClassVar[MetadataServerStatus]
    METADATA_SERVER_STARTING_UP: _ClassVar[MetadataServerStatus]
    METADATA_SERVER_AWAITING_PROVISIONING: _ClassVar[MetadataServerStatus]
    METADATA_SERVER_MEMBER: _ClassVar[MetadataServerStatus]
    METADATA_SERVER_STANDBY: _ClassVar[MetadataServerStatus]

class MetadataKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METADATA_KIND_UNKNOWN: _ClassVar[MetadataKind]
    NODES_CONFIGURATION: _ClassVar[MetadataKind]
    SCHEMA: _ClassVar[MetadataKind]
    PARTITION_TABLE: _ClassVar[MetadataKind]
    LOGS: _ClassVar[MetadataKind]

class ClusterFeature(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLUSTER_FEATURE_UNKNOWN: _ClassVar[ClusterFeature]
    CONTROLLED_IDEMPOTENT_SHARDING: _ClassVar[ClusterFeature]
ADDRESS_KIND_UNKNOWN: AddressKind
TCP: AddressKind
HTTP: AddressKind
UNIX: AddressKind
NODE_STATUS_UNKNOWN: NodeStatus
ALIVE: NodeStatus
NODE_STARTING_UP: NodeStatus
SHUTTING_DOWN: NodeStatus
ADMIN_STATUS_UNKNOWN: AdminStatus
ADMIN_READY: AdminStatus
ADMIN_STARTING_UP: AdminStatus
WORKER_STATUS_UNKNOWN: WorkerStatus
WORKER_READY: WorkerStatus
WORKER_STARTING_UP: WorkerStatus
LOG_SERVER_STATUS_UNKNOWN: LogServerStatus
LOG_SERVER_READY: LogServerStatus
LOG_SERVER_STARTING_UP: LogServerStatus
LOG_SERVER_FAILSAFE: LogServerStatus
LOG_SERVER_STOPPING: LogServerStatus
METADATA_SERVER_STATUS_UNKNOWN: MetadataServerStatus
METADATA_SERVER_STARTING_UP: MetadataServerStatus
METADATA_SERVER_AWAITING_PROVISIONING: MetadataServerStatus
METADATA_SERVER_MEMBER: MetadataServerStatus
METADATA_SERVER_STANDBY: MetadataServerStatus
METADATA_KIND_UNKNOWN: MetadataKind
NODES_CONFIGURATION: MetadataKind
SCHEMA: MetadataKind
PARTITION_TABLE: MetadataKind
LOGS: MetadataKind
CLUSTER_FEATURE_UNKNOWN: ClusterFeature
CONTROLLED_IDEMPOTENT_SHARDING: ClusterFeature

class Version(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...

class Lsn(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...

class LeaderEpoch(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...

class NodeId(_message.Message):
    __slots__ = ("id", "generation")
    ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    id: int
    generation: int
    def __init__(self, id: _Optional[int] = ..., generation: _Optional[int] = ...) -> None: ...

class GenerationalNodeId(_message.Message):
    __slots__ = ("id", "generation")
    ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    id: int
    generation: int
    def __init__(self, id: _Optional[int] = ..., generation: _Optional[int] = ...) -> None: ...

class ReplicationProperty(_message.Message):
    __slots__ = ("replication_property",)
    REPLICATION_PROPERTY_FIELD_NUMBER: _ClassVar[int]
    replication_property: str
    def __init__(self, replication_property: _Optional[str] = ...) -> None: ...

class NetAddress(_message.Message):
    __slots__ = ("name", "address", "kind")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    kind: AddressKind
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., kind: _Optional[_Union[AddressKind, str]] = ...) -> None: ...

class LogProvider(_message.Message):
    __slots__ = ("provider", "replication_property", "target_nodeset_size")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    REPLICATION_PROPERTY_FIELD_NUMBER: _ClassVar[int]
    TARGET_NODESET_SIZE_FIELD_NUMBER: _ClassVar[int]
    provider: str
    replication_property: ReplicationProperty
    target_nodeset_size: int
    def __init__(self, provider: _Optional[str] = ..., replication_property: _Optional[_Union[ReplicationProperty, _Mapping]] = ..., target_nodeset_size: _Optional[int] = ...) -> None: ...

class ClusterConfiguration(_message.Message):
    __slots__ = ("num_partitions", "partition_replication", "bifrost_provider")
    NUM_PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    PARTITION_REPLICATION_FIELD_NUMBER: _ClassVar[int]
    BIFROST_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    num_partitions: int
    partition_replication: ReplicationProperty
    bifrost_provider: LogProvider
    def __init__(self, num_partitions: _Optional[int] = ..., partition_replication: _Optional[_Union[ReplicationProperty, _Mapping]] = ..., bifrost_provider: _Optional[_Union[LogProvider, _Mapping]] = ...) -> None: ...
