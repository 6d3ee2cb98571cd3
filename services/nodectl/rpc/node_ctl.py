"""`restate.node_ctl_svc.NodeCtlSvc`: who this node is, and the cluster's documents. Source: shared/spec/nodectl.md, section 3.1."""

from collections.abc import Sequence
from typing import Final

from google.protobuf.empty_pb2 import Empty

from perdure.codec.rpc.status import CallFailed, Status
from services.nodectl.cluster import Cluster, ClusterView
from services.nodectl.health import Address
from services.nodectl.rpc import documents
from services.nodectl.rpc.method import Methods, unary
from services.nodectl.rpc.proto import common_pb2 as common
from services.nodectl.rpc.proto import node_ctl_pb2 as node

NAME: Final = "restate.node_ctl_svc.NodeCtlSvc"
STATUSES: Final = {"Alive": common.ALIVE, "StartingUp": common.NODE_STARTING_UP, "ShuttingDown": common.SHUTTING_DOWN}
_ADMIN: Final = {"Ready": common.ADMIN_READY, "StartingUp": common.ADMIN_STARTING_UP}
_WORKER: Final = {"Ready": common.WORKER_READY, "StartingUp": common.WORKER_STARTING_UP}
_KINDS: Final = {"tcp": common.TCP, "http": common.HTTP}
_DOCUMENTS: Final = {
    common.NODES_CONFIGURATION: documents.nodes_configuration,
    common.PARTITION_TABLE: documents.partition_table,
    common.LOGS: documents.logs,
}


def node_methods(cluster: Cluster) -> Methods:
    """Return what the service answers."""
    service = NodeCtl(cluster)
    return {
        f"/{NAME}/GetIdent": unary(Empty, service.ident),
        f"/{NAME}/GetMetadata": unary(node.GetMetadataRequest, service.metadata),
        f"/{NAME}/ProvisionCluster": unary(node.ProvisionClusterRequest, service.provision),
        f"/{NAME}/ClusterHealth": unary(Empty, service.health),
    }


class NodeCtl:
    """Answers for the one node that stands for all processes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def ident(self, _request: Empty, base_url: str) -> node.IdentResponse:
        """Return state and versions of the node."""
        return ident_of(await self._cluster.view(base_url))

    async def metadata(self, request: node.GetMetadataRequest, base_url: str) -> node.GetMetadataResponse:
        """Return one of the cluster's documents."""
        document = _DOCUMENTS.get(request.kind)
        if document is None:
            raise CallFailed(Status.UNIMPLEMENTED, f"metadata of kind {request.kind} is not kept in this form; the admin API tells it")
        return node.GetMetadataResponse(encoded=documents.encoded(document(await self._cluster.view(base_url))))

    async def provision(self, request: node.ProvisionClusterRequest, _base_url: str) -> node.ProvisionClusterResponse:
        """Tell what provisioning would make; a suite is provisioned when it first starts."""
        if not request.dry_run:
            raise CallFailed(Status.ALREADY_EXISTS, "The cluster has already been provisioned")
        return node.ProvisionClusterResponse(dry_run=True, cluster_configuration=configuration_of(self._cluster.partitions))

    async def health(self, _request: Empty, base_url: str) -> node.ClusterHealthResponse:
        """Return the cluster's name; there are no metadata servers."""
        view = await self._cluster.view(base_url)
        return node.ClusterHealthResponse(cluster_name=view.health.cluster_name)


def ident_of(view: ClusterView) -> node.IdentResponse:
    """Return the state of the node."""
    health = view.health
    return node.IdentResponse(
        status=STATUSES[health.status],
        node_id=common.NodeId(id=documents.NODE_ID, generation=documents.GENERATION),
        cluster_name=health.cluster_name,
        roles=health.roles,
        age_s=max(0, view.now_ms - view.started_at_ms) // 1_000,
        admin_status=_ADMIN.get(health.admin_status),
        worker_status=_WORKER.get(health.worker_status),
        nodes_config_version=documents.VERSION,
        logs_version=documents.VERSION,
        schema_version=health.schema_version & 0xFFFFFFFF,
        partition_table_version=documents.VERSION,
        bound_addresses=_addresses(health.bound_addresses),
        advertised_addresses=_addresses(health.advertised_addresses),
    )


def _addresses(addresses: Sequence[Address]) -> list[common.NetAddress]:
    return [common.NetAddress(name=each.name, address=each.address, kind=_KINDS[each.kind]) for each in addresses]


def configuration_of(partitions: int) -> common.ClusterConfiguration:
    """Return the configuration that is in force."""
    replication = common.ReplicationProperty(replication_property=documents.REPLICATION)
    return common.ClusterConfiguration(
        num_partitions=partitions,
        partition_replication=replication,
        bifrost_provider=common.LogProvider(provider=documents.PROVIDER, replication_property=replication),
    )
