"""All attempts of an invoker: slots, the plan of each, what goes out to them after commits, retries."""

import asyncio
from typing import Final, Protocol

from perdure.base.clock import Clock, Random
from perdure.base.ids import InvocationId
from perdure.codec.service_protocol import codec_for, negotiate
from perdure.deployments.interface import DeploymentClient
from perdure.model.deployment import Deployment, Handler
from perdure.model.invocation import AttemptTimings
from perdure.model.journal import AttemptError
from perdure.registry.options import OptionsCache, ServerDefaults, effective_options
from perdure.registry.retry import EffectiveRetryPolicy
from perdure.registry.schema import Schema
from services.invoker.attempt import Attempt
from services.invoker.attempt_log import AttemptLog
from services.invoker.calls import CallResolver
from services.invoker.fair_queue import FairQueue
from services.invoker.loading import Loader
from services.invoker.machine import events as facts
from services.invoker.machine.events import RetryDue
from services.invoker.machine.step import FailAttempt, RetryAttempt, StartAttempt
from services.invoker.machine.view import Live
from services.invoker.meters import AttemptMeters
from services.invoker.owner import Owner
from services.invoker.plan import PinnedState, Plan

NOT_REGISTERED: Final = "no deployment was found to process the invocation"
PIN_IS_GONE: Final = (
    "the invocation has a deployment id associated, but it was not found in the registry. This might indicate that a deployment was "
    "forcefully removed from the registry, but there are still in-flight invocations pinned to it"
)


class SchemaSource(Protocol):
    """Where the present schema is."""

    @property
    def current(self) -> Schema: ...


class _Refused(Exception):
    def __init__(self, error: AttemptError) -> None:
        super().__init__(error.message)
        self.error = error


class Attempts:
    """Open attempts by invocation, and those that wait for a slot: in order of arrival, but partitions and services take turns."""

    def __init__(
        self,
        *,
        owner: Owner,
        loader: Loader,
        client: DeploymentClient,
        schema: SchemaSource,
        defaults: ServerDefaults,
        clock: Clock,
        random: Random,
        slots: int,
        message_bytes_max: int,
        version_max: int,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.message_bytes_max = message_bytes_max
        self.started = 0
        self.retried = 0
        self.meters = AttemptMeters()
        self._owner = owner
        self._loader = loader
        self._client = client
        self._schema = schema
        self._defaults = defaults
        self._options = OptionsCache(defaults)
        self.resolver = CallResolver(self._options, clock, random, owner.tracer)
        self._clock = clock
        self._random = random
        self._slots = slots
        self._version_max = version_max
        self._open: dict[InvocationId, Attempt] = {}
        self._reserved = 0
        """Slots of attempts that are on their way to be open."""
        self._waiting: FairQueue[tuple[int, str], tuple[StartAttempt, float]] = FairQueue()
        self._is_filling = False
        self._log = AttemptLog()
        self._opening: set[asyncio.Task[None]] = set()

    @property
    def schema(self) -> Schema:
        return self._schema.current

    @property
    def open_count(self) -> int:
        return len(self._open)

    @property
    def waiting_count(self) -> int:
        return len(self._waiting)

    # Starting.

    def start(self, effect: StartAttempt) -> None:
        """Open an attempt, or let it wait for a slot."""
        earlier = self._open.get(effect.invocation_id)
        if earlier is not None and earlier.number != effect.attempt:
            earlier.abort()
        now_s = self.loop.time()
        if len(self._open) + self._reserved < self._slots:
            self._prepare(effect, now_s)
            return
        live = self._wanted(effect)
        if live is not None:
            self._waiting.push((effect.partition, live.record.target.service), (effect, now_s))

    def _fill(self) -> None:
        """Give free slots to those that wait."""
        if self._is_filling:
            return
        self._is_filling = True
        while self._waiting and len(self._open) + self._reserved < self._slots:
            self._prepare(*self._waiting.pop())
        self._is_filling = False

    def _release(self) -> None:
        self._reserved -= 1
        self._fill()

    def _prepare(self, effect: StartAttempt, since_s: float) -> None:
        live = self._wanted(effect)
        if live is None:
            return
        self._reserved += 1
        view = self._owner.partitions[effect.partition].view
        if self._loader.is_prepared(view, live):
            self._open_attempt(effect, since_s)
            return

        def then(is_ready: bool) -> None:
            if is_ready:
                self._open_attempt(effect, since_s)
            else:
                self._release()

        self._loader.prepare(effect.partition, live, effect.attempt, then)

    def _wanted(self, effect: StartAttempt) -> Live | None:
        owned = self._owner.partitions.get(effect.partition)
        live = None if owned is None else owned.view.lives.get(effect.invocation_id)
        if live is None or live.attempt != effect.attempt or live.has_ended or live.is_open:
            return None
        return live

    def _open_attempt(self, effect: StartAttempt, since_s: float) -> None:
        live = self._wanted(effect)
        if live is None:
            self._release()
            return
        target = live.record.target
        if target.key is None:
            self._open_with(effect, live, None, since_s)
            return
        states = self._owner.partitions[effect.partition].view.states
        state = states[target.service, target.key]
        states.move_to_end((target.service, target.key))
        state.pins += 1
        entries = sorted(state.entries.items())
        if self._owner.is_durable(state):
            self._open_with(effect, live, PinnedState(state, entries), since_s)
        else:
            task = asyncio.ensure_future(self._open_when_durable(effect, PinnedState(state, entries), since_s))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open_when_durable(self, effect: StartAttempt, state: PinnedState, since_s: float) -> None:
        """Show an attempt the state as it is now, but only once that has committed."""
        await self._owner.settle()
        live = self._wanted(effect)
        if live is None:
            state.unpin()
            self._release()
        else:
            self._open_with(effect, live, state, since_s)

    def _open_with(self, effect: StartAttempt, live: Live, state: PinnedState | None, since_s: float) -> None:
        try:
            plan = self._plan(live)
        except _Refused as refused:
            if state is not None:
                state.unpin()
            self._log.refused(effect.partition, live, refused.error)
            self._feed_failure(effect.partition, live, refused.error, AttemptTimings(), self._defaults_policy())
            self._release()
            return
        context = None
        if self._owner.tracer is not None:
            context = self._owner.tracer.begin_attempt(live, self._owner.partitions[effect.partition].lease.epoch)
        attempt = Attempt(self, effect.partition, live, plan, state, waited_s=self.loop.time() - since_s, context=context)
        self._open[live.id] = attempt
        self._reserved -= 1
        live.is_open = True
        live.last_start_at_ms = self._clock.now_ms()
        live.last_deployment_id = plan.deployment.id
        self.started += 1
        self._log.started(attempt)
        attempt.open(self._client, live.last_start_at_ms)

    def _plan(self, live: Live) -> Plan:
        schema, target, pin = self._schema.current, live.record.target, live.record.pin
        deployment = schema.deployment_of(target.service) if pin is None else schema.deployments.get(pin.deployment_id)
        if deployment is None:
            raise _Refused(AttemptError(500, NOT_REGISTERED if pin is None else PIN_IS_GONE, "RT0011"))
        version = pin.protocol_version if pin is not None else _negotiated(deployment, self._version_max)
        service = schema.service_at(deployment.id, target.service)
        if service is None:
            raise _Refused(AttemptError(500, NOT_REGISTERED, "RT0011"))
        handler = service.handlers.get(target.handler)
        if handler is None:
            options = effective_options(service, Handler(target.handler, target.handler_type), defaults=self._defaults)
        else:
            options = self._options.of(schema, service, handler)
        return Plan(deployment, version, codec_for(version, message_bytes_max=self.message_bytes_max), options)

    # Out to open attempts.

    def open_attempt(self, invocation_id: InvocationId, number: int) -> Attempt | None:
        """Return the open attempt of this number."""
        attempt = self._open.get(invocation_id)
        return attempt if attempt is not None and attempt.number == number else None

    def stop(self, invocation_id: InvocationId, number: int) -> None:
        """Give an attempt up."""
        attempt = self.open_attempt(invocation_id, number)
        if attempt is not None:
            attempt.abort()

    def stop_all(self, partition: int) -> None:
        """Give all attempts of a partition up."""
        for attempt in [attempt for attempt in self._open.values() if attempt.partition == partition]:
            attempt.abort()

    def break_off(self, effect: FailAttempt) -> None:
        """Give an attempt up because of what it sent, and count that as its failure."""
        attempt = self.open_attempt(effect.invocation_id, effect.attempt)
        if attempt is not None:
            attempt.abort(effect.error)
        live = self._owner.live(effect.invocation_id)
        if live is None or live.attempt != effect.attempt:
            return
        policy = attempt.plan.options.retry_policy if attempt is not None else self._defaults_policy()
        timings = attempt.timings() if attempt is not None else AttemptTimings()
        self._feed_failure(live.partition, live, effect.error, timings, policy)

    def retry_later(self, effect: RetryAttempt) -> None:
        """Report when the delay before a retry is over."""
        self.retried += 1
        due = RetryDue(effect.invocation_id, effect.attempt)
        self.loop.call_later(effect.delay_ms / 1_000, self._owner.feed, effect.partition, due)

    # The host of attempts.

    def feed(self, attempt: Attempt, event: facts.Event) -> None:
        """Feed what an attempt did."""
        if not self._owner.feed(attempt.partition, event):
            attempt.abort()

    def fail(self, attempt: Attempt, error: AttemptError) -> None:
        """Feed the failure of an attempt."""
        self._feed_failure(attempt.partition, attempt.live, error, attempt.timings(), attempt.plan.options.retry_policy)

    def closed(self, attempt: Attempt) -> None:
        """Free the slot of an attempt, and give it to whose turn it is."""
        if self._open.get(attempt.live.id) is attempt:
            del self._open[attempt.live.id]
        if attempt.state is not None:
            attempt.state.unpin()
        target = attempt.live.record.target
        self.meters.record(target.service, target.handler, attempt.outcome, attempt.duration_s, attempt.phases_s())
        if self._owner.tracer is not None:
            self._owner.tracer.attempt(attempt)
        self._log.closed(attempt)
        self._fill()

    def _feed_failure(self, partition: int, live: Live, error: AttemptError, timings: AttemptTimings, policy: EffectiveRetryPolicy) -> None:
        event = facts.AttemptFailed(live.id, live.attempt, error, policy, self._random.fraction(), timings)
        self._owner.feed(partition, event)

    def _defaults_policy(self) -> EffectiveRetryPolicy:
        return self._defaults.retry_policy


def _negotiated(deployment: Deployment, version_max: int) -> int:
    version = negotiate(deployment.protocol_version_min, deployment.protocol_version_max, server_max=version_max)
    if version is None:
        text = f"deployment {deployment.id} speaks protocol {deployment.protocol_version_min} to {deployment.protocol_version_max}"
        raise _Refused(AttemptError(500, f"{text}, this server 1 to {version_max}", "RT0013"))
    return version
