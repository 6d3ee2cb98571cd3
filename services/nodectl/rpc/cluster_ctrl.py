"""`restate.cluster_ctrl.ClusterCtrlSvc`: partitions, configuration, and SQL over both. Source: shared/spec/nodectl.md, section 3.2."""

from collections.abc import AsyncIterator
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.nodectl.cluster import Cluster, ClusterView
from services.nodectl.rpc import documents
from services.nodectl.rpc.method import Method, Methods, unary
from services.nodectl.rpc.node_ctl import configuration_of
from services.nodectl.rpc.proto import cluster_ctrl_pb2 as ctrl
from services.nodectl.rpc.proto import common_pb2 as common
from services.nodectl.sql.running import ClusterQueries

NAME: Final = "restate.cluster_ctrl.ClusterCtrlSvc"
_REPLAY_STATUSES: Final = {"starting": ctrl.STARTING, "active": ctrl.ACTIVE, "catching-up": ctrl.CATCHING_UP}


def cluster_methods(cluster: Cluster) -> Methods:
    """Return what the service answers."""
    service = ClusterCtrl(cluster)
    return {
        f"/{NAME}/GetClusterState": unary(ctrl.ClusterStateRequest, service.state),
        f"/{NAME}/ListLogs": unary(ctrl.ListLogsRequest, service.logs),
        f"/{NAME}/GetClusterConfiguration": unary(ctrl.GetClusterConfigurationRequest, service.configuration),
        f"/{NAME}/Query": Method(ctrl.QueryRequest, service.query),
    }


class ClusterCtrl:
    """Answers for all processes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._queries = ClusterQueries(cluster.settings)

    async def state(self, _request: ctrl.ClusterStateRequest, base_url: str) -> ctrl.ClusterStateResponse:
        """Return the nodes and the state of every partition."""
        return ctrl.ClusterStateResponse(cluster_state=state_of(await self._cluster.view(base_url)))

    async def logs(self, _request: ctrl.ListLogsRequest, base_url: str) -> ctrl.ListLogsResponse:
        """Return the document of logs."""
        return ctrl.ListLogsResponse(logs=documents.encoded(documents.logs(await self._cluster.view(base_url))))

    async def configuration(self, _request: ctrl.GetClusterConfigurationRequest, _base_url: str) -> ctrl.GetClusterConfigurationResponse:
        """Return the number of partitions, and that there is one copy of each."""
        return ctrl.GetClusterConfigurationResponse(cluster_configuration=configuration_of(self._cluster.partitions))

    async def query(self, request: ctrl.QueryRequest, base_url: str) -> AsyncIterator[ctrl.QueryResponse]:
        """Yield an Arrow IPC stream in pieces."""
        async for piece in self._queries.run(request.query, await self._cluster.view(base_url)):
            yield ctrl.QueryResponse(encoded=piece)


def state_of(view: ClusterView) -> ctrl.ClusterState:
    """Return the state of the one node and of its partitions."""
    version = common.Version(value=documents.VERSION)
    node = ctrl.AliveNode(
        generational_node_id=common.GenerationalNodeId(id=documents.NODE_ID, generation=documents.GENERATION),
        last_heartbeat_at=_timestamp(view.now_ms),
        partitions={number: _partition(view, number) for number in range(view.partitions)},
        uptime_s=max(0, view.now_ms - view.started_at_ms) // 1_000,
    )
    return ctrl.ClusterState(
        last_refreshed=Duration(),
        nodes_config_version=version,
        partition_table_version=version,
        nodes={documents.NODE_ID: ctrl.NodeState(alive=node)},
        logs_metadata_version=version,
    )


def _partition(view: ClusterView, number: int) -> ctrl.PartitionProcessorStatus:
    is_owned = number in view.owners
    lease = view.leases.get(number)
    return ctrl.PartitionProcessorStatus(
        updated_at=_timestamp(view.now_ms),
        planned_mode=ctrl.LEADER,
        effective_mode=ctrl.LEADER if is_owned else ctrl.FOLLOWER,
        detailed_effective_mode=ctrl.DETAILED_LEADER if is_owned else ctrl.DETAILED_CANDIDATE,
        last_observed_leader_epoch=None if lease is None else common.LeaderEpoch(value=lease.epoch),
        last_observed_leader_node=common.NodeId(id=documents.NODE_ID, generation=documents.GENERATION) if is_owned else None,
        replay_status=_REPLAY_STATUSES[view.replay_status(number)],
        last_applied_schema_version=common.Version(value=view.health.schema_version & 0xFFFFFFFF),
    )


def _timestamp(at_ms: int) -> Timestamp:
    return Timestamp(seconds=at_ms // 1_000, nanos=at_ms % 1_000 * 1_000_000)
