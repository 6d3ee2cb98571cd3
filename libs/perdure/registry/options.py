"""The options in force for a handler: its own, else the service's, else the server's, then the server's caps.

Source: shared/spec/lifecycle.md, sections 4.3 and 6.2; shared/spec/service-protocol.md, section 1.6.
"""

from typing import Final

import msgspec

from perdure.model.deployment import Handler, Service
from perdure.model.target import HandlerType
from perdure.process.config import CommonConfig
from perdure.registry.retry import EffectiveRetryPolicy, decided, merge_retry_policies
from perdure.registry.schema import Schema

_DAY_MS: Final = 86_400_000


class ServerDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """What counts where neither handler nor service says anything, and what caps them; None is no cap."""

    journal_retention_ms: int = _DAY_MS
    journal_retention_ms_max: int | None = None
    idempotency_retention_ms: int = _DAY_MS
    idempotency_retention_ms_max: int | None = None
    workflow_completion_retention_ms: int = _DAY_MS
    workflow_completion_retention_ms_max: int | None = None
    inactivity_timeout_ms: int = 60_000
    abort_timeout_ms: int = 600_000
    retry_policy: EffectiveRetryPolicy = EffectiveRetryPolicy()
    retry_attempts_max: int | None = None


def server_defaults(config: CommonConfig) -> ServerDefaults:
    """Return what the configuration says."""
    return ServerDefaults(
        journal_retention_ms=config.journal_retention,
        idempotency_retention_ms=config.idempotency_retention,
        workflow_completion_retention_ms=config.workflow_retention,
        inactivity_timeout_ms=config.inactivity_timeout,
        abort_timeout_ms=config.abort_timeout,
        retry_policy=EffectiveRetryPolicy(
            initial_interval_ms=config.retry_initial_interval,
            factor=config.retry_factor,
            max_interval_ms=config.retry_max_interval,
            max_attempts=config.retry_max_attempts or None,
            pauses_on_max_attempts=config.retry_pauses,
        ),
    )


class Retention(msgspec.Struct, frozen=True, gc=False):
    """How long a completed invocation is kept, and its journal; 0 is not at all."""

    completion_ms: int
    journal_ms: int


class EffectiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Every option of one handler, decided."""

    plain_retention: Retention
    idempotent_retention: Retention
    inactivity_timeout_ms: int
    abort_timeout_ms: int
    eager_state: bool
    is_public: bool
    """Whether ingress and subscriptions may call it; other handlers always may."""
    retry_policy: EffectiveRetryPolicy

    def retention(self, has_idempotency_key: bool) -> Retention:
        """Return both retentions of an invocation; they are fixed when it is accepted."""
        return self.idempotent_retention if has_idempotency_key else self.plain_retention

    def completion_retention_ms(self, has_idempotency_key: bool) -> int:
        """Return how long the result of an invocation is kept."""
        return self.retention(has_idempotency_key).completion_ms

    def journal_retention_ms(self, has_idempotency_key: bool) -> int:
        """Return how long the journal of an invocation is kept."""
        return self.retention(has_idempotency_key).journal_ms


def effective_options(service: Service, handler: Handler, *, defaults: ServerDefaults) -> EffectiveOptions:
    """Decide the options of a handler of a revision."""
    own, outer = handler.options, service.options
    plain, idempotent = _retentions(service, handler, defaults)
    return EffectiveOptions(
        plain_retention=plain,
        idempotent_retention=idempotent,
        inactivity_timeout_ms=decided(own.inactivity_timeout_ms, outer.inactivity_timeout_ms, defaults.inactivity_timeout_ms),
        abort_timeout_ms=decided(own.abort_timeout_ms, outer.abort_timeout_ms, defaults.abort_timeout_ms),
        eager_state=not decided(own.enable_lazy_state, outer.enable_lazy_state, False),
        is_public=not (own.ingress_private or outer.ingress_private),
        retry_policy=merge_retry_policies(
            own.retry_policy, outer.retry_policy, defaults.retry_policy, attempts_cap=defaults.retry_attempts_max
        ),
    )


def _retentions(service: Service, handler: Handler, defaults: ServerDefaults) -> tuple[Retention, Retention]:
    """Return the retention without and with an idempotency key; a workflow's run has only one."""
    own, outer = handler.options, service.options
    journal = _capped(
        decided(own.journal_retention_ms, outer.journal_retention_ms, defaults.journal_retention_ms), defaults.journal_retention_ms_max
    )
    if handler.handler_type is HandlerType.WORKFLOW:
        completion = _capped(
            decided(
                own.workflow_completion_retention_ms,
                outer.workflow_completion_retention_ms,
                defaults.workflow_completion_retention_ms,
            ),
            defaults.workflow_completion_retention_ms_max,
        )
        run = Retention(completion, min(journal, completion))
        return run, run
    idempotency = _capped(
        decided(own.idempotency_retention_ms, outer.idempotency_retention_ms, defaults.idempotency_retention_ms),
        defaults.idempotency_retention_ms_max,
    )
    return Retention(journal, journal), Retention(idempotency, min(journal, idempotency))


def _capped(value: int, cap: int | None) -> int:
    return value if cap is None else min(value, cap)


class OptionsCache:
    """Effective options, decided once per revision and handler, and forgotten when the metadata changes."""

    def __init__(self, defaults: ServerDefaults) -> None:
        self._defaults = defaults
        self._meta_version = -1
        self._options: dict[tuple[str, int, str], EffectiveOptions] = {}

    def of(self, schema: Schema, service: Service, handler: Handler) -> EffectiveOptions:
        """Return the options of a handler of a revision that `schema` holds."""
        if schema.meta_version != self._meta_version:
            self._meta_version = schema.meta_version
            self._options.clear()
        key = (service.name, service.revision, handler.name)
        options = self._options.get(key)
        if options is None:
            options = self._options[key] = effective_options(service, handler, defaults=self._defaults)
        return options
