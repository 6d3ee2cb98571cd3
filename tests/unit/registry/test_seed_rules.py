"""Protobuf services of the seed era in the registry: what a new revision may change."""

import itertools

import msgspec
import pytest

from perdure.base.errors import PerdureError
from perdure.model.deployment import Handler, InstanceType, ProtobufMethod, Service
from perdure.model.target import HandlerType, ServiceType
from perdure.registry.registrations import Registration, RegistrationOutcome, ServiceChanges, modify_service, register
from perdure.registry.schema import read_schema
from perdure.store.keyspace import Keyspace
from tests.unit.registry.builders import DictTransaction, a_deployment, a_service

KEYS = Keyspace("test")
NUMBERS = itertools.count()


def a_method(name: str, key_field: int | None = 1) -> Handler:
    return Handler(name, HandlerType.EXCLUSIVE, method=ProtobufMethod("shop.Request", "shop.Reply", key_field))


def a_cart(*methods: Handler, name: str = "shop.Cart", instance_type: InstanceType = InstanceType.KEYED) -> Service:
    service_type = ServiceType.SERVICE if instance_type is InstanceType.UNKEYED else ServiceType.VIRTUAL_OBJECT
    service = a_service(name, service_type, *(methods or (a_method("Add"), a_method("Order"))))
    return msgspec.structs.replace(service, instance_type=instance_type)


def do_register(tr: DictTransaction, letter: str, service: Service, *, is_forced: bool = False, may_break: bool = False) -> Registration:
    number = next(NUMBERS)
    deployment = a_deployment(f"dp_{letter}{number}", f"http://{letter}:9080", created_at_ms=number)
    return register(tr, KEYS, deployment, [service], is_forced=is_forced, may_break=may_break)


@pytest.fixture
def tr() -> DictTransaction:
    """A registry with the cart at address a."""
    tr = DictTransaction()
    do_register(tr, "a", a_cart())
    return tr


def test_a_new_address_with_more_methods_gives_the_next_revision(tr: DictTransaction) -> None:
    registration = do_register(tr, "b", a_cart(a_method("Add"), a_method("Order"), a_method("Drop")))
    assert registration.outcome is RegistrationOutcome.NEW
    assert registration.services[0].revision == 2


INCOMPATIBLE = {
    "a removed method": a_cart(a_method("Add")),
    "another key": a_cart(a_method("Add"), a_method("Order", key_field=7)),
    "another type": a_cart(instance_type=InstanceType.SINGLETON),
    "no key any more": a_cart(instance_type=InstanceType.UNKEYED),
    "a service of today": a_service("shop.Cart", ServiceType.VIRTUAL_OBJECT),
}


@pytest.mark.parametrize("service", INCOMPATIBLE.values(), ids=INCOMPATIBLE)
def test_an_incompatible_revision_is_refused_and_says_what_to_do(tr: DictTransaction, service: Service) -> None:
    rows = dict(tr.rows)
    with pytest.raises(PerdureError) as refused:
        do_register(tr, "b", service)
    assert (refused.value.code, refused.value.status) == ("META0006", 409)
    assert "shop.Cart" in refused.value.message
    assert "force" in refused.value.message
    assert refused.value.hint
    assert tr.rows == rows


@pytest.mark.parametrize("service", INCOMPATIBLE.values(), ids=INCOMPATIBLE)
@pytest.mark.parametrize("how", ["is_forced", "may_break"])
def test_an_incompatible_revision_is_taken_if_that_is_wanted(tr: DictTransaction, service: Service, how: str) -> None:
    assert do_register(tr, "b", service, **{how: True}).services[0].revision == 2


def test_a_service_of_today_does_not_become_a_protobuf_service() -> None:
    tr = DictTransaction()
    do_register(tr, "a", a_service("shop.Cart", ServiceType.VIRTUAL_OBJECT))
    with pytest.raises(PerdureError, match="VirtualObject"):
        do_register(tr, "b", a_cart())


def test_force_at_the_same_address_counts_revisions_up_and_keeps_the_id(tr: DictTransaction) -> None:
    (before,) = read_schema(tr, KEYS).deployments
    registration = do_register(tr, "a", a_cart(a_method("Add")), is_forced=True)
    assert (registration.outcome, registration.deployment.id) == (RegistrationOutcome.OVERWRITTEN, before)
    assert registration.services[0].revision == 2


@pytest.mark.parametrize("name", ["dev.restate.Ingress", "grpc.health.v1.Health"])
@pytest.mark.parametrize("make", [a_cart, a_service])
def test_the_packages_of_built_in_services_are_reserved(name: str, make: type) -> None:
    service = msgspec.structs.replace(make(), name=name)
    with pytest.raises(PerdureError) as refused:
        do_register(DictTransaction(), "a", service)
    assert (refused.value.code, refused.value.status) == ("META0005", 403)


def test_a_private_service_stays_private_in_its_next_revision(tr: DictTransaction) -> None:
    modify_service(tr, KEYS, "shop.Cart", ServiceChanges(public=False))
    assert do_register(tr, "b", a_cart()).services[0].options.ingress_private is True
    assert do_register(tr, "b", a_cart(), is_forced=True).services[0].options.ingress_private is None
