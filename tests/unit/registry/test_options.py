"""Effective options: precedence, caps, the two retentions, and that the cache follows the metadata."""

import pytest

from perdure.model.deployment import HandlerOptions, Service
from perdure.model.target import HandlerType, ServiceType
from perdure.registry.options import EffectiveOptions, OptionsCache, Retention, ServerDefaults, effective_options
from perdure.registry.retry import EffectiveRetryPolicy
from perdure.registry.schema import Schema
from tests.unit.registry.builders import a_handler, a_service

DAY = 86_400_000


def options_of(service: Service, defaults: ServerDefaults | None = None) -> EffectiveOptions:
    return effective_options(service, service.handlers["greet"], defaults=defaults or ServerDefaults())


def a_plain(service: HandlerOptions | None = None, handler: HandlerOptions | None = None) -> Service:
    return a_service("A", ServiceType.SERVICE, a_handler(options=handler or HandlerOptions()), options=service)


def a_workflow(service: HandlerOptions | None = None, handler: HandlerOptions | None = None) -> Service:
    return a_service("A", ServiceType.WORKFLOW, a_handler(kind=HandlerType.WORKFLOW, options=handler or HandlerOptions()), options=service)


def test_silence_means_the_server_defaults() -> None:
    assert options_of(a_plain()) == EffectiveOptions(
        plain_retention=Retention(DAY, DAY),
        idempotent_retention=Retention(DAY, DAY),
        inactivity_timeout_ms=60_000,
        abort_timeout_ms=600_000,
        eager_state=True,
        is_public=True,
        retry_policy=EffectiveRetryPolicy(),
    )


def test_the_handler_wins_over_the_service_and_the_service_over_the_server() -> None:
    options = options_of(
        a_plain(
            HandlerOptions(inactivity_timeout_ms=1, abort_timeout_ms=2, enable_lazy_state=True),
            HandlerOptions(inactivity_timeout_ms=0),
        )
    )
    assert options.inactivity_timeout_ms == 0
    assert options.abort_timeout_ms == 2
    assert not options.eager_state


@pytest.mark.parametrize(
    ("journal", "idempotency", "plain", "keyed"),
    [
        (10, 20, Retention(10, 10), Retention(20, 10)),
        (30, 20, Retention(30, 30), Retention(20, 20)),
        (0, 20, Retention(0, 0), Retention(20, 0)),
        (30, 0, Retention(30, 30), Retention(0, 0)),
    ],
)
def test_a_journal_is_kept_no_longer_than_the_completion(journal: int, idempotency: int, plain: Retention, keyed: Retention) -> None:
    options = options_of(a_plain(HandlerOptions(journal_retention_ms=journal, idempotency_retention_ms=idempotency)))
    assert options.retention(has_idempotency_key=False) == plain
    assert options.retention(has_idempotency_key=True) == keyed
    assert (options.completion_retention_ms(True), options.journal_retention_ms(True)) == (keyed.completion_ms, keyed.journal_ms)


def test_the_run_of_a_workflow_has_one_retention_of_its_own() -> None:
    options = options_of(a_workflow(HandlerOptions(workflow_completion_retention_ms=9, idempotency_retention_ms=1, journal_retention_ms=5)))
    assert options.retention(False) == options.retention(True) == Retention(9, 5)
    assert options_of(a_workflow(HandlerOptions(), HandlerOptions(workflow_completion_retention_ms=3))).retention(False) == Retention(3, 3)


def test_caps_lower_what_is_above_them() -> None:
    defaults = ServerDefaults(
        journal_retention_ms_max=1, idempotency_retention_ms_max=2, workflow_completion_retention_ms_max=3, retry_attempts_max=4
    )
    assert options_of(a_plain(), defaults).retention(True) == Retention(2, 1)
    assert options_of(a_workflow(), defaults).retention(False) == Retention(3, 1)
    assert options_of(a_plain(), defaults).retry_policy.max_attempts == 4


@pytest.mark.parametrize(
    ("service", "handler", "expected"),
    [(None, None, True), (True, None, False), (None, True, False), (False, True, False), (True, False, False)],
)
def test_a_handler_is_public_where_neither_it_nor_its_service_is_private(
    service: bool | None, handler: bool | None, expected: bool
) -> None:
    options = options_of(a_plain(HandlerOptions(ingress_private=service), HandlerOptions(ingress_private=handler)))
    assert options.is_public is expected


def test_the_cache_decides_once_per_version_of_the_metadata() -> None:
    cache = OptionsCache(ServerDefaults())
    before, after = a_plain(), a_plain(HandlerOptions(abort_timeout_ms=1))
    first = cache.of(Schema(meta_version=1), before, before.handlers["greet"])
    assert cache.of(Schema(meta_version=1), before, before.handlers["greet"]) is first
    assert cache.of(Schema(meta_version=2), after, after.handlers["greet"]).abort_timeout_ms == 1
