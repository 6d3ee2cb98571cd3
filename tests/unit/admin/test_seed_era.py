"""The REST forms of the seed era, beside those of today."""

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from perdure.codec.descriptors.keys import fields
from perdure.deployments.seed.manifest import parse_seed_manifest
from tests.unit.admin.harness import Admin, with_admin
from tests.unit.deployments.seed_descriptors import a_file, a_response
from tests.unit.registry.builders import a_service

OLD, TODAY = "http://old:9080", "http://today:9080"
METHOD = {"name": "Add", "input_type": "shop.Request", "output_type": "shop.Reply", "key_field_number": 3}


def serve_both(admin: Admin) -> None:
    admin.endpoints.found[OLD] = parse_seed_manifest(a_response(a_file()), http_version="HTTP/2.0", sdk_version=None)
    admin.endpoints.serve(TODAY, a_service("Greeter"))


async def shown(admin: Admin, path: str) -> Any:
    answer = await admin.http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_protobuf_service_is_shown_with_the_keys_of_both_eras(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        serve_both(admin)
        registered = await admin.register(OLD)
        assert registered.status_code == 201
        [service] = registered.json()["services"]
        assert (service["name"], service["revision"], service["public"]) == ("shop.Cart", 1, True)
        assert (service["instance_type"], service["methods"]) == ("Keyed", [METHOD])
        assert (service["ty"], [each["name"] for each in service["handlers"]]) == ("VirtualObject", ["Add"])
        assert await shown(admin, "/services/shop.Cart/methods") == {"methods": [METHOD]}
        assert await shown(admin, "/services/shop.Cart/methods/Add") == METHOD
        assert (await admin.http.get("/services/shop.Cart/methods/Remove")).status_code == 404
        detail = await shown(admin, f"/deployments/{registered.json()['id']}")
        assert detail["services"] == registered.json()["services"]

    with_admin(tmp_path, test)


def test_services_of_today_gain_keys_only_beside_older_ones(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        serve_both(admin)
        await admin.register(TODAY)
        assert not {"instance_type", "methods"} & (await shown(admin, "/services/Greeter")).keys()
        await admin.register(OLD)
        greeter = await shown(admin, "/services/Greeter")
        assert greeter["instance_type"] == "Unkeyed"
        assert greeter["methods"] == [{"name": "greet", "input_type": "", "output_type": ""}]
        assert all({"ty", "instance_type"} <= each.keys() for each in (await shown(admin, "/services"))["services"])

    with_admin(tmp_path, test)


def test_descriptors_are_given_as_protobuf(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        serve_both(admin)
        deployment = (await admin.register(OLD)).json()["id"]
        whole = await admin.http.get(f"/deployments/{deployment}/descriptors")
        assert whole.headers["content-type"] == "application/x-protobuf"
        assert "shop.proto" in [each.name for each in FileDescriptorSet.FromString(whole.content).file]
        of_service = await admin.http.get("/services/shop.Cart/descriptors")
        assert of_service.headers["content-type"] == "application/x-protobuf"
        files = [FileDescriptorProto.FromString(of_service.content[begin:end]) for number, _, _, begin, end in fields(of_service.content)]
        assert f"{deployment}/shop.proto" in [each.name for each in files]
        assert {name for each in files for name in each.dependency} <= {each.name for each in files}

    with_admin(tmp_path, test)


def test_what_is_of_today_has_neither_methods_nor_descriptors(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        serve_both(admin)
        deployment = (await admin.register(TODAY)).json()["id"]
        for path in ("/services/Greeter/methods", "/services/Greeter/descriptors", f"/deployments/{deployment}/descriptors"):
            answer = await admin.http.get(path)
            assert (answer.status_code, answer.json()["restate_code"]) == (404, None)
        assert (await admin.http.get("/services/Nope/methods/x")).status_code == 404

    with_admin(tmp_path, test)


def test_without_a_version_an_older_deployment_is_overwritten_unless_told_not_to(tmp_path: Path) -> None:
    async def test(admin: Admin) -> None:
        serve_both(admin)
        await admin.register(OLD)
        again = await admin.register(OLD)
        assert (again.status_code, again.json()["services"][0]["revision"]) == (201, 2)
        refused = await admin.register(OLD, force=False)
        assert (refused.status_code, refused.json()["restate_code"]) == (409, "META0004")
        unchanged = await admin.register(OLD, prefix="/v4")
        assert (unchanged.status_code, unchanged.json()["services"][0]["revision"]) == (200, 2)
        await admin.register(TODAY)
        assert (await admin.register(TODAY)).json()["services"][0]["revision"] == 1

    with_admin(tmp_path, test)
