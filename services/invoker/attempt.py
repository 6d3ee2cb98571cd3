"""One attempt: a stream to a deployment. Frames come in and are fed to the owner; what has committed goes out.

Source: shared/spec/service-protocol.md, sections 2, 5 and 6; shared/spec/lifecycle.md, section 6.
"""

import asyncio
from typing import Final, Protocol
from urllib.parse import quote

import xxhash

from perdure.base.durations import format_duration_ms
from perdure.base.errors import RemoteProtocolError
from perdure.base.ids import format_invocation_id
from perdure.base.trace import TraceContext
from perdure.codec.service_protocol.events import AttemptEvent, AwaitingOn, CommandSent, Failed, RunProposed, Suspended
from perdure.codec.service_protocol.versions import SEED_VERSION
from perdure.deployments.interface import OVER, DeploymentClient, Exchange, ExchangeFailure, FailureKind, HeaderList
from perdure.model.deployment import ProtocolMode
from perdure.model.invocation import AttemptTimings, Pin
from perdure.model.journal import AttemptError, Call, Completion, ErrorBehavior, Notification, OneWayCall, Signal
from perdure.registry.schema import Schema
from services.invoker.calls import CallResolver
from services.invoker.machine import events as facts
from services.invoker.machine.view import Live
from services.invoker.meters import AttemptMeters
from services.invoker.plan import Outcome, PinnedState, Plan

DRAIN_S_MAX: Final = 5.0
"""How long a deployment may take to end its response after its last frame."""
DATA_BYTES_MAX: Final = 1024 * 1024
ITEMS_PER_EVENT_MAX: Final = 500
"""More data, and more commands, that arrive at once are several events: one event is never split over commits."""

_BUILT_IN: Final = "dev.restate."
_DOC_CODES: Final = {413: "RT0019", 415: "RT0015", 429: "RT0023", 502: "RT0010", 503: "RT0023", 504: "RT0010"}
_PAUSES: Final = frozenset({"RT0025"})
"""What the same code would do again at once: a person must look."""
_FAILURE_CODE: Final = {415: 415}


class Host(Protocol):
    """What an attempt needs of the invoker."""

    resolver: CallResolver
    loop: asyncio.AbstractEventLoop
    message_bytes_max: int
    meters: AttemptMeters

    def feed(self, attempt: "Attempt", event: facts.Event) -> None: ...

    def fail(self, attempt: "Attempt", error: AttemptError) -> None: ...

    def closed(self, attempt: "Attempt") -> None: ...

    @property
    def schema(self) -> Schema: ...


class Attempt:
    """An open attempt; a `Receiver` of its exchange."""

    __slots__ = (
        "_committing_since_s",
        "_decoder",
        "_exchange",
        "_first_byte_at_s",
        "_has_ended_request",
        "_host",
        "_in_commits_s",
        "_is_duplex",
        "_last_activity_s",
        "_next_index",
        "_opened_at_s",
        "_timer",
        "_waited_s",
        "context",
        "error",
        "is_done",
        "live",
        "number",
        "opened_at_ms",
        "outcome",
        "partition",
        "plan",
        "state",
    )

    def __init__(
        self,
        host: Host,
        partition: int,
        live: Live,
        plan: Plan,
        state: PinnedState | None,
        *,
        waited_s: float,
        context: TraceContext | None = None,
    ) -> None:
        self._host = host
        self.partition = partition
        self.live = live
        self.number = live.attempt
        self.plan = plan
        self.state = state
        self.is_done = False
        self.context = context
        self.outcome = Outcome.GIVEN_UP
        self.error: AttemptError | None = None
        self.opened_at_ms = 0
        self._decoder = plan.decoder
        self._exchange: Exchange
        self._is_duplex = plan.deployment.protocol_mode is ProtocolMode.BIDI_STREAM and plan.options.inactivity_timeout_ms > 0
        self._has_ended_request = False
        self._next_index = 0
        self._opened_at_s = self._last_activity_s = host.loop.time()
        self._waited_s = waited_s
        self._first_byte_at_s: float | None = None
        self._committing_since_s: float | None = None
        self._in_commits_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # Opening.

    def open(self, client: DeploymentClient, now_ms: int) -> None:
        """Send start and journal; in request/response mode that is all that is ever sent."""
        live, plan = self.live, self.plan
        self.opened_at_ms = now_ms
        target = live.record.target
        journal = live.journal
        assert journal is not None, "the journal is loaded before an attempt opens"
        known = live.durable_length
        self._next_index = known
        path = f"/invoke/{target.service}/{target.handler}"
        text_id = format_invocation_id(live.id)
        self._exchange = client.open(plan.deployment, "POST", path, self._headers(text_id), self)
        frames = [self._start_frame(text_id, known, now_ms)]
        frames += [plan.encoder.entry(entry) for entry in journal[:known]]
        self._send(b"".join(frames))
        if not self._is_duplex:
            self._end_request()
        self._watch()
        self._pass_on()

    def _start_frame(self, text_id: str, known: int, now_ms: int) -> bytes:
        live, record = self.live, self.live.record
        is_eager = self.state is not None and self.plan.options.eager_state
        entries = self.state.entries if self.state is not None and is_eager else []
        return self.plan.encoder.start(
            invocation_id=live.id,
            debug_id=text_id,
            known_entries=known,
            state=entries,
            is_state_partial=not is_eager,
            key=record.target.key or "",
            retry_count=live.failures_since_entry,
            since_last_entry_ms=max(0, now_ms - record.modified_at_ms) if live.failures_since_entry else 0,
            random_seed=xxhash.xxh3_64_intdigest(live.id),
            idempotency_key=record.idempotency_key,
        )

    def _headers(self, text_id: str) -> HeaderList:
        content_type = self.plan.encoder.content_type
        headers = [
            ("content-type", content_type),
            ("accept", content_type),
            ("x-restate-invocation-id", text_id),
        ]
        key = self.live.record.target.key
        if key is not None:
            headers.append(("x-restate-service-key", quote(key, safe="-_.~")))
        if self.context is not None:
            headers += [("traceparent", self.context.traceparent), ("tracestate", self.context.state)]
        elif self.live.record.traceparent is not None:
            headers += [("traceparent", self.live.record.traceparent), ("tracestate", self.live.record.tracestate)]
        return headers

    # Outwards, after commits.

    def forward(self, index: int, notification: Notification, *, as_ack: bool) -> None:
        """Send a notification that has committed, unless the replay had it or nothing can be sent any more."""
        if self._committing_since_s is not None:
            self._in_commits_s += self._host.loop.time() - self._committing_since_s
            self._committing_since_s = None
        if index < self._next_index or self.is_done or self._has_ended_request:
            return
        self._next_index = index + 1
        self._last_activity_s = self._host.loop.time()
        encoder = self.plan.encoder
        if as_ack and isinstance(notification, Completion):
            self._send(encoder.proposal_ack(notification.completion_id))
        else:
            self._send(encoder.notification(notification))
            if type(notification) is Signal:
                self._pass_on()

    def acknowledge(self, command_index: int) -> None:
        """Tell the handler that a command is durable."""
        if not self.is_done and not self._has_ended_request:
            self._send(self.plan.encoder.command_ack(command_index))

    def _send(self, data: bytes) -> None:
        self._host.meters.sent_bytes += len(data)
        self._exchange.send(data)

    def suspend(self) -> None:
        """Ask the handler to suspend, by closing the request side."""
        if not self.is_done and not self._has_ended_request:
            self._end_request()
            self._watch()

    def abort(self, error: AttemptError | None = None) -> None:
        """Give the exchange up, because of what came over it if `error` says so; nothing of it counts any more."""
        if not self.is_done:
            self._give_up()
            self._close(Outcome.GIVEN_UP if error is None else Outcome.FAILED, error)

    @property
    def duration_s(self) -> float:
        """Seconds since it was opened."""
        return self._host.loop.time() - self._opened_at_s

    def phases_s(self) -> tuple[float, float, float, float]:
        """Return where the time went so far, in the order of `AttemptTimings`."""
        now_s = self._host.loop.time()
        first_s = now_s if self._first_byte_at_s is None else self._first_byte_at_s
        in_handler_s = max(0.0, now_s - first_s - self._in_commits_s)
        return self._waited_s, first_s - self._opened_at_s, in_handler_s, self._in_commits_s

    def timings(self) -> AttemptTimings:
        """Return the same as it is stored."""
        return AttemptTimings(*[round(phase_s * 1e6) for phase_s in self.phases_s()])

    # Inwards: the receiver of the exchange.

    def on_response(self, status: int, headers: HeaderList) -> None:
        self._first_byte_at_s = self._last_activity_s = self._host.loop.time()
        by_name = dict(headers)
        self.live.last_server = by_name.get("x-restate-server")
        if not 200 <= status < 300:
            self._break(_error_of_status(status, by_name, self.plan.deployment.url))
        elif by_name.get("content-type") != self.plan.encoder.content_type:
            got, wanted = by_name.get("content-type"), self.plan.encoder.content_type
            message = f"the deployment at {self.plan.deployment.url} answered with content-type {got!r}, expected {wanted!r}"
            self._break(AttemptError(500, message, "RT0012"))

    def on_data(self, data: bytes) -> None:
        for start in range(0, len(data), DATA_BYTES_MAX):
            if not self.is_done:
                self._receive(data[start : start + DATA_BYTES_MAX])

    def _receive(self, data: bytes) -> None:
        self._host.meters.received_bytes += len(data)
        self._last_activity_s = self._host.loop.time()
        try:
            received = self._decoder.receive(data)
        except RemoteProtocolError as error:
            behavior = ErrorBehavior.PAUSE if error.code in _PAUSES else ErrorBehavior.RETRY
            self._break(AttemptError(500, error.message, error.code or "RT0012", behavior=behavior))
            return
        if received:
            self._take(received)

    def on_end(self) -> None:
        if self.is_done:
            self._let_go()
        else:
            self._break(AttemptError(500, "the deployment ended the stream without an end, a suspension or an error", "RT0007"))

    def on_failure(self, failure: ExchangeFailure) -> None:
        if self.is_done:
            self._let_go()
        else:
            delay_ms = 0 if failure.kind is FailureKind.GOAWAY else None
            self._break(AttemptError(500, failure.message, "RT0010", next_retry_delay_ms=delay_ms))

    def _take(self, received: list[AttemptEvent]) -> None:
        items: list[facts.AttemptItem] = []
        terminal: AttemptEvent | None = None
        command_index = self.live.record.command_count
        for event in received:
            if isinstance(event, CommandSent):
                items.append(self._item(event, command_index))
                command_index += 1
            elif isinstance(event, RunProposed):
                items.append(event.proposal)
            elif isinstance(event, AwaitingOn):
                self.live.awaiting_on = event.future
            else:
                terminal = event
                break
        pin = Pin(self.plan.deployment.id, self.plan.version)
        if items:
            if self._committing_since_s is None:
                self._committing_since_s = self._last_activity_s
            for start in range(0, len(items), ITEMS_PER_EVENT_MAX):
                if not self.is_done:
                    some = items[start : start + ITEMS_PER_EVENT_MAX]
                    self._host.feed(self, facts.AttemptProgressed(self.live.id, self.number, pin, some))
        if terminal is not None and not self.is_done:
            self._finish(terminal)

    def _pass_on(self) -> None:
        """Take what is due without a word of the deployment: cancellations that its protocol leaves to the server to pass on."""
        due = self._decoder.receive(b"")
        if due:
            self._take(due)

    def _item(self, sent: CommandSent, command_index: int) -> facts.AttemptItem:
        command = sent.command
        if not isinstance(command, (Call, OneWayCall)):
            return facts.CommandSent(command, sent.wants_ack)
        host, index, is_seed = self._host, command_index, self.plan.version == SEED_VERSION
        if is_seed and command.target.service.startswith(_BUILT_IN):
            from services.invoker.built_in import call_built_in  # descriptors, which only these calls need

            return call_built_in(host.resolver, host.schema, self.live, command, wants_ack=sent.wants_ack, command_index=index)
        return host.resolver.resolve(host.schema, self.live, command, wants_ack=sent.wants_ack, command_index=index, is_seed=is_seed)

    def _finish(self, terminal: AttemptEvent) -> None:
        live = self.live
        if isinstance(terminal, Failed):
            self._host.fail(self, terminal.error)
            self._close(Outcome.FAILED, terminal.error)
        elif isinstance(terminal, Suspended):
            self._host.feed(self, facts.AttemptSuspended(live.id, self.number, terminal.future, self.timings()))
            self._close(Outcome.SUSPENDED)
        else:
            self._host.feed(self, facts.AttemptEnded(live.id, self.number, self.timings()))
            self._close(Outcome.ENDED)
        self._end_request()
        self._timer = self._host.loop.call_later(DRAIN_S_MAX, self._give_up)

    def _give_up(self) -> None:
        self._exchange.abort()
        self._let_go()

    def _let_go(self) -> None:
        """Let the exchange be forgotten, which is over."""
        self._exchange = OVER
        if self._timer is not None:
            self._timer.cancel()

    def _break(self, error: AttemptError) -> None:
        if self.is_done:
            return
        self._give_up()
        self._host.fail(self, error)
        self._close(Outcome.FAILED, error)

    def _end_request(self) -> None:
        if not self._has_ended_request:
            self._has_ended_request = True
            self._exchange.end()

    def _close(self, outcome: Outcome, error: AttemptError | None = None) -> None:
        if self.is_done:
            return
        self.is_done = True
        self.outcome, self.error = outcome, error
        if self._timer is not None:
            self._timer.cancel()
        self._host.closed(self)

    # Silence.

    def _watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._last_activity_s = self._host.loop.time()
        self._timer = self._host.loop.call_later(self._limit_s(), self._check_silence)

    def _limit_s(self) -> float:
        options = self.plan.options
        return (options.abort_timeout_ms if self._has_ended_request else options.inactivity_timeout_ms) / 1_000

    def _check_silence(self) -> None:
        due_in_s = self._last_activity_s + self._limit_s() - self._host.loop.time()
        if due_in_s > 0.001:
            self._timer = self._host.loop.call_later(due_in_s, self._check_silence)
        elif not self._has_ended_request:
            self.suspend()
        else:
            limit = format_duration_ms(self.plan.options.abort_timeout_ms)
            self._break(AttemptError(500, f"the invocation stream was closed after the 'abort timeout' ({limit}) fired.", "RT0001"))


def _error_of_status(status: int, headers: dict[str, str], url: str) -> AttemptError:
    delay_ms = None
    if status in {429, 503} and headers.get("retry-after", "").isdigit():
        delay_ms = int(headers["retry-after"]) * 1_000
    return AttemptError(
        code=_FAILURE_CODE.get(status, 500),
        message=f"the deployment at {url} answered with status {status}",
        doc_code=_DOC_CODES.get(status, "RT0012"),
        next_retry_delay_ms=delay_ms,
    )
