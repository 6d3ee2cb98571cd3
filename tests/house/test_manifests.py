"""The Kubernetes manifests and examples in `deploy/`: true to Kubernetes' schemas, and to the ports and settings of the processes."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import pytest
import yaml

from perdure.process.config import CommonConfig, read
from tests.house.configs import CONFIGS, PORTS

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
KUBERNETES: Final = DEPLOY / "kubernetes"
BASE: Final = KUBERNETES / "base"
VERSIONS: Final = ("1.29", "1.37")
"""Of Kubernetes: the oldest that the manifests are for (ReadWriteOncePod), and the newest with a schema here."""
FOREIGN: Final = ("kustomize.config.k8s.io/", "serving.knative.dev/")
"""Not Kubernetes' own, so without a schema here."""

Document = dict[str, Any]


def documents(path: Path) -> list[Document]:
    return list(yaml.safe_load_all(path.read_text()))


def kustomization(name: str) -> Document:
    (found,) = documents(KUBERNETES / name / "kustomization.yaml")
    return found


MANIFESTS: Final = [
    pytest.param(each, id=f"{path.relative_to(DEPLOY)}-{each['kind']}")
    for path in sorted(DEPLOY.rglob("*.yaml"))
    for each in documents(path)
    if not each["apiVersion"].startswith(FOREIGN)
]


def objects() -> Iterator[Document]:
    for name in ("base", "embedded"):
        for resource in kustomization(name)["resources"]:
            yield from documents(KUBERNETES / name / resource)


def workloads() -> list[Any]:
    return [pytest.param(each, id=each["metadata"]["name"]) for each in objects() if each["kind"] in ("Deployment", "StatefulSet")]


def container_of(workload: Document) -> Document:
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return container


def literals() -> dict[str, str]:
    """Return the variables that all processes of the base are given."""
    generated = {each["name"]: each for each in kustomization("base")["configMapGenerator"]}
    return dict(line.split("=", 1) for line in generated["perdure"]["literals"])


@pytest.mark.parametrize("manifest", MANIFESTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_what_kubernetes_accepts(manifest: Document, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_name_that_kubernetes_does_not_know_would_be_found() -> None:
    (deployment, *_) = documents(BASE / "ingress.yaml")
    deployment["spec"]["template"]["spec"]["containers"][0]["readyProbe"] = {}
    with pytest.raises(jsonschema.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)


@pytest.mark.parametrize("role", CONFIGS)
def test_every_process_starts_with_the_settings_that_it_is_given(role: str) -> None:
    container = container_of(documents(BASE / f"{role}.yaml")[0])
    assert container["command"] == ["python", "-m", f"services.{role}"]
    assert container["envFrom"] == [{"configMapRef": {"name": "perdure"}}]
    config = read(CONFIGS[role], [], section=role, environ=literals())
    assert config.fdb_cluster_file in {f"{mount['mountPath']}/fdb.cluster" for mount in container["volumeMounts"]}


@pytest.mark.parametrize("role", PORTS)
def test_ports_are_those_that_the_processes_listen_on(role: str) -> None:
    deployment, _, service = documents(BASE / f"{role}.yaml")
    (port,) = container_of(deployment)["ports"]
    (offered,) = service["spec"]["ports"]
    assert (port["containerPort"], offered["port"], offered["targetPort"]) == (PORTS[role], PORTS[role], port["name"])


def test_the_embedded_set_presents_all_ports_and_its_settings_are_known() -> None:
    workload, *services = documents(KUBERNETES / "embedded/perdure.yaml")
    container = container_of(workload)
    assert {each["name"]: each["containerPort"] for each in container["ports"]} == PORTS
    assert {each["metadata"]["name"]: each["spec"]["ports"][0]["port"] for each in services} == PORTS
    environ = {each["name"]: each["value"] for each in container["env"]}
    for role, kind in CONFIGS.items():
        assert read(kind, [], section=role, environ=environ).log_format == "json"


def test_nats_is_where_the_processes_look_for_it() -> None:
    workload, _, service, *_ = documents(BASE / "nats.yaml")
    servers = [f"nats-{number}.{service['metadata']['name']}" for number in range(workload["spec"]["replicas"])]
    assert literals()["PERDURE_NATS_URL"] == ",".join(f"nats://{server}:4222" for server in servers)
    assert re.findall(r"nats-route://(\S+):6222", (BASE / "nats.conf").read_text()) == servers


@pytest.mark.parametrize("workload", workloads())
def test_pods_have_no_rights_and_say_what_they_need(workload: Document) -> None:
    pod, container = workload["spec"]["template"]["spec"], container_of(workload)
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)  # links would be taken for settings
    rights = container["securityContext"]
    assert (rights["readOnlyRootFilesystem"], rights["allowPrivilegeEscalation"]) == (True, False)
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["resources"]["limits"].keys() == {"memory"}
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


@pytest.mark.parametrize("workload", workloads())
def test_every_port_and_volume_that_is_named_exists(workload: Document) -> None:
    pod, container = workload["spec"]["template"]["spec"], container_of(workload)
    ports = {each["name"] for each in container.get("ports", [])}
    probes = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
    assert {each["port"] for probe in probes for each in probe.values() if isinstance(each, dict) and "port" in each} <= ports
    claims = {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])}
    assert {each["name"] for each in container["volumeMounts"]} == claims | {each["name"] for each in pod["volumes"]}


@pytest.mark.parametrize("workload", workloads())
def test_stopping_fits_into_the_time_that_pods_have_for_it(workload: Document) -> None:
    pod, container = workload["spec"]["template"]["spec"], container_of(workload)
    waits_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1]) if "lifecycle" in container else 0
    grace_s = read(CommonConfig, [], section="", environ=literals()).shutdown_grace / 1_000
    assert waits_s + grace_s < pod["terminationGracePeriodSeconds"]


def test_every_selector_finds_the_pods_of_its_name() -> None:
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in objects() if "template" in each.get("spec", {})]
    for each in objects():
        selector = each["spec"].get("selector") or each["spec"]["podSelector"]
        wanted = selector.get("matchLabels", selector)
        assert any(wanted.items() <= labels.items() for labels in pods), each["metadata"]["name"]


@pytest.mark.parametrize("overlay", ["production", "embedded"])
def test_overlays_change_only_what_is_there(overlay: str) -> None:
    known = {each["metadata"]["name"] for each in objects()}
    changes = kustomization(overlay)
    targets = {each["target"]["name"] for each in changes.get("patches", [])} | {each["name"] for each in changes.get("replicas", [])}
    assert targets <= known
    assert {each["name"] for each in changes["images"]} == {"perdure"} == {container_of(each.values[0])["image"] for each in workloads()}


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
@pytest.mark.parametrize(("overlay", "count"), [("production", 20), ("embedded", 5)])
def test_kubectl_makes_manifests_of_overlays(overlay: str, count: int) -> None:
    made = subprocess.run(["kubectl", "kustomize", str(KUBERNETES / overlay)], capture_output=True, text=True, check=True)
    manifests = list(yaml.safe_load_all(made.stdout))
    assert len(manifests) == count
    for manifest in manifests:
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


def test_the_knative_service_sends_all_traffic_to_a_revision_by_name() -> None:
    (service,) = documents(DEPLOY / "examples/knative/greeter.yaml")
    template = service["spec"]["template"]
    assert service["spec"]["traffic"] == [{"revisionName": template["metadata"]["name"], "tag": "v1", "percent": 100}]
    assert container_of({"spec": service["spec"]})["ports"] == [{"name": "h2c", "containerPort": 9080}]
    assert template["spec"]["timeoutSeconds"] * 1_000 >= CommonConfig().inactivity_timeout


def test_the_lambda_template_refers_only_to_what_it_has() -> None:
    template = json.loads((DEPLOY / "examples/lambda/template.json").read_text())
    names = set(template["Parameters"]) | set(template["Resources"])
    text = json.dumps(template)
    referred = set(re.findall(r'"Ref": "(\w+)"', text)) | set(re.findall(r'"Fn::GetAtt": \["(\w+)"', text))
    assert referred | set(re.findall(r"\$\{(\w+)\.", text)) <= names
    module, _, attribute = template["Resources"]["Greeter"]["Properties"]["Handler"].partition(".")
    assert f"\n{attribute} = " in (DEPLOY / f"examples/lambda/{module}.py").read_text()
