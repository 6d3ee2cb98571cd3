"""What clients of the seed era ask of this port. Source: shared/spec/seed-era.md, section 8."""

from google.protobuf.empty_pb2 import Empty

from services.nodectl.cluster import Cluster
from services.nodectl.rpc import documents
from services.nodectl.rpc.method import Methods, unary
from services.nodectl.rpc.proto import era_cluster_controller_pb2 as controller
from services.nodectl.rpc.proto import era_common_pb2 as common
from services.nodectl.rpc.proto import era_node_ctrl_pb2 as node
from services.nodectl.rpc.proto import era_worker_pb2 as worker

_STATUSES = {"Alive": node.ALIVE, "StartingUp": node.STARTING_UP, "ShuttingDown": node.SHUTTING_DOWN}


def era_methods(cluster: Cluster) -> Methods:
    """Return what the services answer."""

    async def ident(_request: Empty, base_url: str) -> node.IdentResponse:
        view = await cluster.view(base_url)
        node_id = common.NodeId(id=documents.NODE_ID, generation=view.started_at_ms & 0xFFFFFFFF)
        return node.IdentResponse(status=_STATUSES[view.health.status], node_id=node_id, nodes_config_version=documents.VERSION)

    async def attach(_request: controller.AttachmentRequest, _base_url: str) -> controller.AttachmentResponse:
        return controller.AttachmentResponse()

    async def version(_request: Empty, _base_url: str) -> worker.BifrostVersion:
        return worker.BifrostVersion(version=documents.VERSION)

    return {
        "/dev.restate.node_ctrl.NodeCtrl/GetIdent": unary(Empty, ident),
        "/dev.restate.cluster_controller.ClusterController/AttachNode": unary(controller.AttachmentRequest, attach),
        "/dev.restate.worker.Worker/GetBifrostVersion": unary(Empty, version),
    }
