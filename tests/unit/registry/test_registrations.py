"""Registration: which revisions come out, what is refused, and that a repeated commit changes nothing."""

import copy

import msgspec
import pytest

from perdure.model.deployment import Deployment, HandlerOptions, InputRules, OutputRules, Service
from perdure.model.target import HandlerType, ServiceType
from perdure.registry.errors import InvalidService, NotRegistered, ReservedServiceName, ServiceTypeChanged, UnsupportedRetention
from perdure.registry.registrations import Registration, RegistrationOutcome, ServiceChanges, delete, modify_service, register
from perdure.registry.schema import Schema, read_schema
from perdure.store.keyspace import Keyspace
from tests.unit.registry.builders import DictTransaction, a_deployment, a_handler, a_service

KEYS = Keyspace("test")


def do_register(
    tr: DictTransaction, deployment: Deployment, *services: Service, is_forced: bool = False, may_break: bool = False
) -> Registration:
    return register(tr, KEYS, deployment, services, is_forced=is_forced, may_break=may_break)


def schema(tr: DictTransaction) -> Schema:
    return read_schema(tr, KEYS)


def test_a_new_deployment_gets_the_first_revision_of_its_services() -> None:
    tr = DictTransaction()
    registration = do_register(tr, a_deployment(), a_service("A"), a_service("B"))
    assert registration.outcome is RegistrationOutcome.NEW
    assert registration.deployment.services == {"A": 1, "B": 1}
    assert schema(tr).deployments == {"dp_a": registration.deployment}
    assert schema(tr).services == {
        "A": a_service("A", revision=1, deployment_id="dp_a"),
        "B": a_service("B", revision=1, deployment_id="dp_a"),
    }
    assert schema(tr).meta_version == registration.meta_version == 1


def test_the_same_endpoint_again_changes_nothing() -> None:
    tr = DictTransaction()
    first = do_register(tr, a_deployment(url="http://host:1/x"), a_service())
    before = copy.copy(tr.rows)
    again = do_register(tr, a_deployment("dp_b", url="https://HOST:1/x"), a_service("Other"))
    assert again.outcome is RegistrationOutcome.UNCHANGED
    assert again.deployment == first.deployment
    assert again.services == first.services
    assert tr.rows == before


@pytest.mark.parametrize("url", ["http://a:9081", "http://a:9080/v2", "http://b:9080"])
def test_another_address_is_another_deployment(url: str) -> None:
    tr = DictTransaction()
    do_register(tr, a_deployment(), a_service())
    assert do_register(tr, a_deployment("dp_b", url=url), a_service()).outcome is RegistrationOutcome.NEW


def test_a_service_moves_to_the_newest_deployment_and_the_older_keeps_its_revision() -> None:
    tr = DictTransaction()
    do_register(tr, a_deployment("dp_a"), a_service("A"), a_service("B"))
    do_register(tr, a_deployment("dp_b", "http://b:1"), a_service("A"))
    now = schema(tr)
    assert now.deployment_of("A") == now.deployments["dp_b"]
    assert now.deployment_of("B") == now.deployments["dp_a"]
    assert now.services["A"].revision == 2
    at_a = now.service_at("dp_a", "A")
    assert at_a is not None
    assert at_a.revision == 1


def test_force_keeps_the_id_raises_revisions_and_drops_what_is_no_longer_there() -> None:
    tr = DictTransaction()
    do_register(tr, a_deployment("dp_a", metadata={"x": "1"}), a_service("A"), a_service("B"))
    do_register(tr, a_deployment("dp_b", "http://b:1"), a_service("A"))
    forced = do_register(tr, a_deployment("dp_c", created_at_ms=9), a_service("A"), a_service("C"), is_forced=True)
    assert forced.outcome is RegistrationOutcome.OVERWRITTEN
    assert forced.deployment == a_deployment("dp_a", created_at_ms=9, services={"A": 3, "C": 1})
    assert set(schema(tr).services) == {"A", "C"}
    assert set(schema(tr).revisions["A"]) == {2, 3}


def test_force_loses_what_an_operator_modified() -> None:
    tr = DictTransaction()
    do_register(tr, a_deployment(), a_service())
    modify_service(tr, KEYS, "Greeter", ServiceChanges(public=False))
    do_register(tr, a_deployment("dp_b", created_at_ms=2), a_service(), is_forced=True)
    assert schema(tr).services["Greeter"].options.ingress_private is None


@pytest.mark.parametrize("is_forced", [False, True])
def test_a_body_that_runs_again_after_its_commit_finds_its_work_done(is_forced: bool) -> None:
    tr = DictTransaction()
    if is_forced:
        do_register(tr, a_deployment("dp_old"), a_service())
    fresh = a_deployment("dp_new", created_at_ms=77)
    first = do_register(tr, fresh, a_service(), is_forced=is_forced)
    before = copy.copy(tr.rows)
    assert do_register(tr, fresh, a_service(), is_forced=is_forced) == msgspec.structs.replace(first, replaced=None)
    assert tr.rows == before


@pytest.mark.parametrize("name", ["restate", "ReStateThing", "openapi", "OpenAPI"])
def test_reserved_names_are_refused(name: str) -> None:
    tr = DictTransaction()
    with pytest.raises(ReservedServiceName, match=name):
        do_register(tr, a_deployment(), a_service(name))
    assert not tr.rows


def test_a_changed_type_needs_breaking_or_force() -> None:
    tr = DictTransaction()
    do_register(tr, a_deployment(), a_service("A"))
    keyed = a_service("A", ServiceType.VIRTUAL_OBJECT, a_handler(kind=HandlerType.EXCLUSIVE))
    with pytest.raises(ServiceTypeChanged, match="'Service' to 'VirtualObject'"):
        do_register(tr, a_deployment("dp_b", "http://b:1"), keyed)
    assert do_register(tr, a_deployment("dp_b", "http://b:1"), keyed, may_break=True).deployment.services == {"A": 2}
    assert do_register(tr, a_deployment("dp_c", created_at_ms=5), a_service("A"), is_forced=True).deployment.services == {"A": 3}


@pytest.mark.parametrize(
    "schema_of_input",
    [
        [],
        "x",
        {"items": {"$ref": "http://x/y"}},
        {"$ref": "other.json"},
        {"$ref": "#/$defs/missing"},
        {"type": "nothing"},
        {"minLength": -1},
        {"pattern": "("},
        {"$schema": "http://x/y"},
    ],
)
def test_a_json_schema_that_cannot_stand_alone_is_refused(schema_of_input: object) -> None:
    as_input = a_service("A", ServiceType.SERVICE, a_handler(input=InputRules(json_schema=schema_of_input)))
    as_output = a_service("A", ServiceType.SERVICE, a_handler(output=OutputRules(json_schema=schema_of_input)))
    for service in (as_input, as_output):
        with pytest.raises(InvalidService, match="A/greet"):
            do_register(DictTransaction(), a_deployment(), service)


@pytest.mark.parametrize(
    "schema_of_input",
    [None, True, {}, {"$ref": "#/$defs/X", "$defs": {"X": {"$ref": "#"}}}, {"$schema": "http://json-schema.org/draft-07/schema#"}],
)
def test_a_service_is_stored_as_it_was_discovered(schema_of_input: object) -> None:
    tr = DictTransaction()
    options = HandlerOptions(ingress_private=True, metadata={"a": "b"})
    handler = a_handler(kind=HandlerType.WORKFLOW, input=InputRules(json_schema=schema_of_input), options=options)
    service = a_service("A", ServiceType.WORKFLOW, handler, options=HandlerOptions(journal_retention_ms=0))
    do_register(tr, a_deployment(), service)
    assert schema(tr).services["A"] == msgspec.structs.replace(service, revision=1, deployment_id="dp_a")


def test_a_service_of_many_handlers_is_stored_in_chunks_and_removed_whole() -> None:
    tr = DictTransaction()
    handlers = [a_handler(f"h{n}", input=InputRules(content_type="a/b", json_schema={"title": "x" * 400})) for n in range(500)]
    do_register(tr, a_deployment(), a_service("A", ServiceType.SERVICE, *handlers), a_service("B"))
    assert max(map(len, tr.rows.values())) <= 90_000
    assert len(schema(tr).services["A"].handlers) == 500
    delete(tr, KEYS, "dp_a", is_forced=True)
    assert list(tr.rows) == [KEYS.meta_version]


def test_deleting_the_newest_deployment_brings_the_older_revision_back() -> None:
    tr = DictTransaction()
    do_register(tr, a_deployment("dp_a"), a_service("A"))
    do_register(tr, a_deployment("dp_b", "http://b:1"), a_service("A"), a_service("B"))
    assert delete(tr, KEYS, "dp_b", is_forced=True) == 3
    assert schema(tr).services["A"].revision == 1
    assert "B" not in schema(tr).services
    assert delete(tr, KEYS, "dp_a", is_forced=True) == 4
    assert schema(tr) == Schema(meta_version=4)


def test_deleting_what_is_not_there_is_refused_and_counts_as_no_change() -> None:
    tr = DictTransaction()
    with pytest.raises(NotRegistered, match="dp_x"):
        delete(tr, KEYS, "dp_x", is_forced=True)
    assert not tr.rows


def test_a_service_is_modified_in_place() -> None:
    tr = DictTransaction()
    do_register(tr, a_deployment(), a_service(options=HandlerOptions(abort_timeout_ms=5)))
    changes = ServiceChanges(public=False, idempotency_retention_ms=0, journal_retention_ms=1, inactivity_timeout_ms=2)
    modified, version = modify_service(tr, KEYS, "Greeter", changes)
    assert version == 2
    assert modified.revision == 1
    assert modified.options == HandlerOptions(
        ingress_private=True, idempotency_retention_ms=0, journal_retention_ms=1, inactivity_timeout_ms=2, abort_timeout_ms=5
    )
    assert schema(tr).services["Greeter"] == modified


def test_a_workflow_retention_is_for_workflows() -> None:
    tr = DictTransaction()
    do_register(tr, a_deployment(), a_service("S"), a_service("W", ServiceType.WORKFLOW, a_handler(kind=HandlerType.WORKFLOW)))
    changes = ServiceChanges(workflow_completion_retention_ms=7)
    with pytest.raises(UnsupportedRetention, match="type Service is"):
        modify_service(tr, KEYS, "S", changes)
    assert modify_service(tr, KEYS, "W", changes)[0].options.workflow_completion_retention_ms == 7


def test_modifying_an_unknown_service_is_refused() -> None:
    with pytest.raises(NotRegistered, match="service with name 'X'"):
        modify_service(DictTransaction(), KEYS, "X", ServiceChanges(public=True))
