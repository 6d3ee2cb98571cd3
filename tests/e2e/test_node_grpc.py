"""gRPC of the node port, as clients see it that know nothing but what reflection tells."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.e2e.processes import eventually
from tests.e2e.suite import Suite, ours_only

LIMIT_S = 20.0
SERVICES = {
    *("grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"),
    *("restate.node_ctl_svc.NodeCtlSvc", "restate.cluster_ctrl.ClusterCtrlSvc", "restate.metadata_proxy_svc.MetadataProxySvc"),
    *("dev.restate.node_ctrl.NodeCtrl", "dev.restate.cluster_controller.ClusterController", "dev.restate.worker.Worker"),
}
pytestmark = ours_only


class Client:
    """Calls methods by name; all that it knows comes from reflection."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))  # type: ignore[no-untyped-call]

    def call(self, service: str, method: str, /, **fields: Any) -> Any:
        declared = self.pool.FindServiceByName(service).methods_by_name[method]
        request = GetMessageClass(declared.input_type)(**fields)
        stub = self.channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(declared.output_type).FromString,
        )
        return stub(request, timeout=LIMIT_S)


@pytest.fixture(scope="module")
def channel(suite: Suite) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(suite.node_url.removeprefix("http://")) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(channel: grpc.Channel) -> Client:
    return Client(channel)


def test_reflection_lists_all_services(channel: grpc.Channel) -> None:
    assert set(ProtoReflectionDescriptorDatabase(channel).get_services()) == SERVICES  # type: ignore[no-untyped-call]


def test_reflection_v1_answers_as_v1alpha_does(channel: grpc.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="dev.restate.node_ctrl.NodeCtrl").SerializeToString()
    by_version = [
        list(channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")(iter([request]), timeout=LIMIT_S))
        for version in ("v1", "v1alpha")
    ]
    assert by_version[0] == by_version[1]


def test_an_unknown_symbol_is_not_found(channel: grpc.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.such.Service")
    answer = next(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]), timeout=LIMIT_S))
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_service_is_described_and_healthy(client: Client, service: str) -> None:
    assert client.pool.FindServiceByName(service).methods
    assert client.call("grpc.health.v1.Health", "Check", service=service).status == 1


def test_health_lists_the_suite_its_roles_and_the_services(client: Client) -> None:
    statuses = client.call("grpc.health.v1.Health", "List").statuses
    assert set(statuses) == {"", "ingress", "admin", "sql", "invoker", "nodectl", *SERVICES}
    assert {each.status for each in statuses.values()} == {1}


def test_the_node_tells_who_it_is(client: Client) -> None:
    def is_alive() -> bool:
        return bool(client.call("restate.node_ctl_svc.NodeCtlSvc", "GetIdent").status == 1)

    eventually(is_alive, "the node is alive")
    ident = client.call("restate.node_ctl_svc.NodeCtlSvc", "GetIdent")
    assert (ident.node_id.id, ident.cluster_name, list(ident.roles)) == (1, "localcluster", ["http-ingress", "admin", "worker"])
    assert {each.name for each in ident.bound_addresses} >= {"http-ingress-server", "admin-api-server", "message-fabric-server"}


def test_the_node_of_the_seed_era_tells_who_it_is(client: Client) -> None:
    ident = client.call("dev.restate.node_ctrl.NodeCtrl", "GetIdent")
    assert (ident.status, ident.node_id.id, ident.nodes_config_version) == (1, 1, 1)
    assert ident.node_id.generation > 0
    client.call("dev.restate.cluster_controller.ClusterController", "AttachNode", node_name="other")
    assert client.call("dev.restate.worker.Worker", "GetBifrostVersion").version == 1


def test_cluster_health_names_the_cluster(client: Client) -> None:
    assert client.call("restate.node_ctl_svc.NodeCtlSvc", "ClusterHealth").cluster_name == "localcluster"


def test_provisioning_is_shown_and_then_refused(client: Client) -> None:
    shown = client.call("restate.node_ctl_svc.NodeCtlSvc", "ProvisionCluster", dry_run=True)
    assert shown.cluster_configuration.num_partitions == 24
    with pytest.raises(grpc.RpcError) as caught:
        client.call("restate.node_ctl_svc.NodeCtlSvc", "ProvisionCluster")
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("service", "method"),
    [
        *[("restate.cluster_ctrl.ClusterCtrlSvc", name) for name in ("DescribeLog", "FindTail", "TrimLog", "CreatePartitionSnapshot")],
        *[("restate.cluster_ctrl.ClusterCtrlSvc", name) for name in ("SetClusterConfiguration", "SealChain", "MigrateMetadata")],
        ("restate.node_ctl_svc.NodeCtlSvc", "TriggerCompaction"),
        *[("restate.metadata_proxy_svc.MetadataProxySvc", name) for name in ("Put", "Delete")],
    ],
)
def test_what_means_nothing_here_says_so(client: Client, service: str, method: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        client.call(service, method)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert f"{method} means nothing here" in caught.value.details()


def test_a_method_that_a_service_has_not_is_told_apart_from_no_service(channel: grpc.Channel) -> None:
    for path, text in {"/grpc.health.v1.Health/Cure": "no method", "/no.Service/List": "no service no.Service"}.items():
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(path)(b"", timeout=LIMIT_S)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert text in caught.value.details()
