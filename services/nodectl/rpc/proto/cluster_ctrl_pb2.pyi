import datetime

from services.nodectl.rpc.proto import common_pb2 as _common_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_MODE_UNKNOWN: _ClassVar[RunMode]
    LEADER: _ClassVar[RunMode]
    FOLLOWER: _ClassVar[RunMode]

class DetailedRunMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DETAILED_RUN_MODE_UNKNOWN: _ClassVar[DetailedRunMode]
    DETAILED_CANDIDATE: _ClassVar[DetailedRunMode]
    DETAILED_FOLLOWER: _ClassVar[DetailedRunMode]
    DETAILED_BECOMING_LEADER: _ClassVar[DetailedRunMode]
    DETAILED_LEADER: _ClassVar[DetailedRunMode]

class ReplayStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLAY_STATUS_UNKNOWN: _ClassVar[ReplayStatus]
    STARTING: _ClassVar[ReplayStatus]
    ACTIVE: _ClassVar[ReplayStatus]
    CATCHING_UP: _ClassVar[ReplayStatus]
RUN_MODE_UNKNOWN: RunMode
LEADER: RunMode
FOLLOWER: RunMode
DETAILED_RUN_MODE_UNKNOWN: DetailedRunMode
DETAILED_CANDIDATE: DetailedRunMode
DETAILED_FOLLOWER: DetailedRunMode
DETAILED_BECOMING_LEADER: DetailedRunMode
DETAILED_LEADER: DetailedRunMode
REPLAY_STATUS_UNKNOWN: ReplayStatus
STARTING: ReplayStatus
ACTIVE: ReplayStatus
CATCHING_UP: ReplayStatus

class ClusterStateRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClusterStateResponse(_message.Message):
    __slots__ = ("cluster_state",)
    CLUSTER_STATE_FIELD_NUMBER: _ClassVar[int]
    cluster_state: ClusterState
    def __init__(self, cluster_state: _Optional[_Union[ClusterState, _Mapping]] = ...) -> None: ...

class ClusterState(_message.Message):
    __slots__ = ("last_refreshed", "nodes_config_version", "partition_table_version", "nodes", "logs_metadata_version")
    class NodesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: NodeState
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[NodeState, _Mapping]] = ...) -> None: ...
    LAST_REFRESHED_FIELD_NUMBER: _ClassVar[int]
    NODES_CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    PARTITION_TABLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    LOGS_METADATA_VERSION_FIELD_NUMBER: _ClassVar[int]
    last_refreshed: _duration_pb2.Duration
    nodes_config_version: _common_pb2.Version
    partition_table_version: _common_pb2.Version
    nodes: _containers.MessageMap[int, NodeState]
    logs_metadata_version: _common_pb2.Version
    def __init__(self, last_refreshed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., nodes_config_version: _Optional[_Union[_common_pb2.Version, _Mapping]] = ..., partition_table_version: _Optional[_Union[_common_pb2.Version, _Mapping]] = ..., nodes: _Optional[_Mapping[int, NodeState]] = ..., logs_metadata_version: _Optional[_Union[_common_pb2.Version, _Mapping]] = ...) -> None: ...

class NodeState(_message.Message):
    __slots__ = ("alive", "dead")
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    alive: AliveNode
    dead: DeadNode
    def __init__(self, alive: _Optional[_Union[AliveNode, _Mapping]] = ..., dead: _Optional[_Union[DeadNode, _Mapping]] = ...) -> None: ...

class AliveNode(_message.Message):
    __slots__ = ("generational_node_id", "last_heartbeat_at", "partitions", "uptime_s")
    class PartitionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: PartitionProcessorStatus
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[PartitionProcessorStatus, _Mapping]] = ...) -> None: ...
    GENERATIONAL_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_HEARTBEAT_AT_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    generational_node_id: _common_pb2.GenerationalNodeId
    last_heartbeat_at: _timestamp_pb2.Timestamp
    partitions: _containers.MessageMap[int, PartitionProcessorStatus]
    uptime_s: int
    def __init__(self, generational_node_id: _Optional[_Union[_common_pb2.GenerationalNodeId, _Mapping]] = ..., last_heartbeat_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., partitions: _Optional[_Mapping[int, PartitionProcessorStatus]] = ..., uptime_s: _Optional[int] = ...) -> None: ...

class DeadNode(_message.Message):
    __slots__ = ("last_seen_alive",)
    LAST_SEEN_ALIVE_FIELD_NUMBER: _ClassVar[int]
    last_seen_alive: _timestamp_pb2.Timestamp
    def __init__(self, last_seen_alive: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PartitionProcessorStatus(_message.Message):
    __slots__ = ("updated_at", "planned_mode", "effective_mode", "last_observed_leader_epoch", "last_observed_leader_node", "replay_status", "last_applied_schema_version", "detailed_effective_mode")
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    PLANNED_MODE_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_MODE_FIELD_NUMBER: _ClassVar[int]
    LAST_OBSERVED_LEADER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    LAST_OBSERVED_LEADER_NODE_FIELD_NUMBER: _ClassVar[int]
    REPLAY_STATUS_FIELD_NUMBER: _ClassVar[int]
    LAST_APPLIED_SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    DETAILED_EFFECTIVE_MODE_FIELD_NUMBER: _ClassVar[int]
    updated_at: _timestamp_pb2.Timestamp
    planned_mode: RunMode
    effective_mode: RunMode
    last_observed_leader_epoch: _common_pb2.LeaderEpoch
    last_observed_leader_node: _common_pb2.NodeId
    replay_status: ReplayStatus
    last_applied_schema_version: _common_pb2.Version
    detailed_effective_mode: DetailedRunMode
    def __init__(self, updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., planned_mode: _Optional[_Union[RunMode, str]] = ..., effective_mode: _Optional[_Union[RunMode, str]] = ..., last_observed_leader_epoch: _Optional[_Union[_common_pb2.LeaderEpoch, _Mapping]] = ..., last_observed_leader_node: _Optional[_Union[_common_pb2.NodeId, _Mapping]] = ..., replay_status: _Optional[_Union[ReplayStatus, str]] = ..., last_applied_schema_version: _Optional[_Union[_common_pb2.Version, _Mapping]] = ..., detailed_effective_mode: _Optional[_Union[DetailedRunMode, str]] = ...) -> None: ...

class ListLogsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLogsResponse(_message.Message):
    __slots__ = ("logs",)
    LOGS_FIELD_NUMBER: _ClassVar[int]
    logs: bytes
    def __init__(self, logs: _Optional[bytes] = ...) -> None: ...

class DescribeLogRequest(_message.Message):
    __slots__ = ("log_id",)
    LOG_ID_FIELD_NUMBER: _ClassVar[int]
    log_id: int
    def __init__(self, log_id: _Optional[int] = ...) -> None: ...

class FindTailRequest(_message.Message):
    __slots__ = ("log_id",)
    LOG_ID_FIELD_NUMBER: _ClassVar[int]
    log_id: int
    def __init__(self, log_id: _Optional[int] = ...) -> None: ...

class TrimLogRequest(_message.Message):
    __slots__ = ("log_id", "trim_point")
    LOG_ID_FIELD_NUMBER: _ClassVar[int]
    TRIM_POINT_FIELD_NUMBER: _ClassVar[int]
    log_id: int
    trim_point: int
    def __init__(self, log_id: _Optional[int] = ..., trim_point: _Optional[int] = ...) -> None: ...

class CreatePartitionSnapshotRequest(_message.Message):
    __slots__ = ("partition_id",)
    PARTITION_ID_FIELD_NUMBER: _ClassVar[int]
    partition_id: int
    def __init__(self, partition_id: _Optional[int] = ...) -> None: ...

class GetClusterConfigurationRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetClusterConfigurationResponse(_message.Message):
    __slots__ = ("cluster_configuration",)
    CLUSTER_CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    cluster_configuration: _common_pb2.ClusterConfiguration
    def __init__(self, cluster_configuration: _Optional[_Union[_common_pb2.ClusterConfiguration, _Mapping]] = ...) -> None: ...

class SetClusterConfigurationRequest(_message.Message):
    __slots__ = ("cluster_configuration",)
    CLUSTER_CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    cluster_configuration: _common_pb2.ClusterConfiguration
    def __init__(self, cluster_configuration: _Optional[_Union[_common_pb2.ClusterConfiguration, _Mapping]] = ...) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("query",)
    QUERY_FIELD_NUMBER: _ClassVar[int]
    query: str
    def __init__(self, query: _Optional[str] = ...) -> None: ...

class QueryResponse(_message.Message):
    __slots__ = ("encoded",)
    ENCODED_FIELD_NUMBER: _ClassVar[int]
    encoded: bytes
    def __init__(self, encoded: _Optional[bytes] = ...) -> None: ...
