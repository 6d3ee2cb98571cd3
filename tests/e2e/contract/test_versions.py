"""The version of the service protocol that an invocation is pinned to."""

from tests.e2e.contract.conftest import Contract


def test_an_invocation_is_pinned_to_the_highest_version_that_the_sdk_offers(contract: Contract, key: str) -> None:
    invocation = contract.send("Counter", key, "add", body=1)
    assert contract.suite.attach(invocation).status_code == 200
    row = contract.wait_for_status(invocation, "completed")
    assert row["pinned_deployment_id"] == contract.deployment_id
    assert row["pinned_service_protocol_version"] == contract.protocol_version
