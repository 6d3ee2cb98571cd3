"""A bus within one virtual loop that delays, drops and doubles messages as its seed decides.

Order holds per sender and receiver, as on one NATS connection. Faults are data: `SimNetwork.faults`, replaced at any time.
"""

import asyncio
import contextvars
import random
from collections.abc import Callable
from typing import Final

import msgspec

from perdure.bus.interface import NoResponders, Receiver
from perdure.sim.loop import VirtualProcess

NOTICE_CUT_S: Final = 2.0
"""How long the server takes to notice that a connection is dead."""


class BusFaults(msgspec.Struct, frozen=True):
    """How badly the bus behaves; the probabilities are per delivery."""

    delay_s_min: float = 0.0002
    delay_s_max: float = 0.002
    slow_probability: float = 0.0
    slow_delay_s: float = 0.5
    drop_probability: float = 0.0
    double_probability: float = 0.0


class SimSubscription:
    """One receiver on one subject; it is called in the context (so in the process) of whoever subscribed."""

    def __init__(self, client: "SimBus", subject: str, receiver: Receiver) -> None:
        self.context = contextvars.copy_context()
        self.client = client
        self.subject = subject
        self.receiver = receiver

    async def unsubscribe(self) -> None:
        self.client.network.remove(self)


class SimNetwork:
    """What connects the bus clients of all processes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seed: int, faults: BusFaults | None = None) -> None:
        self.loop = loop
        self.faults = faults if faults is not None else BusFaults()
        self.cut_off: dict[str, float] = {}
        """Processes whose messages, in and out, vanish, and since when; after a while they no longer count as listeners."""
        self.delivered = 0
        self._random = random.Random(f"{seed}/bus")  # noqa: S311 - meant to be predictable
        self._by_subject: dict[str, list[SimSubscription]] = {}
        self._busy_until: dict[tuple[str, str], float] = {}

    def client(self, process: VirtualProcess) -> "SimBus":
        """Return the bus as `process` sees it."""
        return SimBus(self, process)

    def add(self, subscription: SimSubscription) -> None:
        self._by_subject.setdefault(subscription.subject, []).append(subscription)

    def remove(self, subscription: SimSubscription) -> None:
        """Forget a subscription; twice is fine."""
        listeners = self._by_subject.get(subscription.subject, [])
        if subscription in listeners:
            listeners.remove(subscription)
        if not listeners:
            self._by_subject.pop(subscription.subject, None)

    def remove_all_of(self, client: "SimBus") -> None:
        """Forget all subscriptions of a client, as a server does when a connection closes."""
        for listeners in list(self._by_subject.values()):
            for subscription in list(listeners):
                if subscription.client is client:
                    self.remove(subscription)

    def send(self, sender: "SimBus", subject: str, payload: bytes, reply: str) -> None:
        """Deliver to whoever listens now, each with its own fate."""
        source = sender.process.name
        if source in self.cut_off:
            return
        listeners = [one for one in self._by_subject.get(subject, []) if self._is_connected(one.client.process)]
        if not listeners and reply:
            self._later(("", source), lambda: sender.note_no_responders(subject, reply), contextvars.copy_context())
        for subscription in listeners:
            if self._random.random() < self.faults.drop_probability:
                continue
            copies = 2 if self._random.random() < self.faults.double_probability else 1
            for _ in range(copies):
                self._deliver(source, subscription, payload, reply)

    def cut(self, name: str) -> None:
        """Let the messages of a process vanish from now on."""
        self.cut_off[name] = self.loop.time()

    def rejoin(self, name: str) -> None:
        """End a cut; ending none is fine."""
        self.cut_off.pop(name, None)

    def _is_connected(self, process: VirtualProcess) -> bool:
        since = self.cut_off.get(process.name)
        return process.is_alive and (since is None or self.loop.time() - since < NOTICE_CUT_S)

    def _deliver(self, source: str, subscription: SimSubscription, payload: bytes, reply: str) -> None:
        target = subscription.client.process

        def arrive() -> None:
            if target.is_alive and target.name not in self.cut_off and not subscription.client.is_closed:
                self.delivered += 1
                subscription.receiver(payload, reply)

        self._later((source, target.name), arrive, subscription.context)

    def _later(self, route: tuple[str, str], callback: Callable[[], None], context: contextvars.Context) -> None:
        delay = self._random.uniform(self.faults.delay_s_min, self.faults.delay_s_max)
        if self._random.random() < self.faults.slow_probability:
            delay += self._random.uniform(0.0, self.faults.slow_delay_s)
        at = max(self.loop.time() + delay, self._busy_until.get(route, 0.0))
        self._busy_until[route] = at + 1e-6  # strictly later than the one before: the loop's heap does not keep the order of equal times
        self.loop.call_at(at, callback, context=context)


class SimBus:
    """The bus of one process. It falls silent when the process is killed."""

    def __init__(self, network: SimNetwork, process: VirtualProcess) -> None:
        self.network = network
        self.process = process
        self.is_closed = False
        self._on_no_responders: list[Callable[[str], None]] = []
        self._no_responders_by_reply: dict[str, Callable[[], None]] = {}
        self._requests = 0

    @property
    def is_connected(self) -> bool:
        return not self.is_closed and self.process.name not in self.network.cut_off

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> None:
        if self.process.is_alive and not self.is_closed:
            self.network.send(self, subject, payload, reply)

    async def subscribe(self, subject: str, receiver: Receiver) -> SimSubscription:
        subscription = SimSubscription(self, subject, receiver)
        self.network.add(subscription)
        await asyncio.sleep(self.network.faults.delay_s_min)
        return subscription

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        inbox = self._next_inbox()
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def receive(reply: bytes, _: str) -> None:
            if not answer.done():
                answer.set_result(reply)

        def refuse() -> None:
            if not answer.done():
                answer.set_exception(NoResponders(subject))

        self._no_responders_by_reply[inbox] = refuse
        subscription = SimSubscription(self, inbox, receive)
        self.network.add(subscription)
        try:
            self.publish(subject, payload, reply=inbox)
            async with asyncio.timeout(timeout_s):
                return await answer
        finally:
            self.network.remove(subscription)
            del self._no_responders_by_reply[inbox]

    async def gather(self, subject: str, payload: bytes, *, timeout_s: float, replies_max: int) -> list[bytes]:
        inbox = self._next_inbox()
        replies: list[bytes] = []
        is_full = asyncio.Event()

        def receive(reply: bytes, _: str) -> None:
            if len(replies) < replies_max:
                replies.append(reply)
            if len(replies) == replies_max:
                is_full.set()

        self._no_responders_by_reply[inbox] = is_full.set
        subscription = SimSubscription(self, inbox, receive)
        self.network.add(subscription)
        try:
            self.publish(subject, payload, reply=inbox)
            async with asyncio.timeout(timeout_s):
                await is_full.wait()
        except TimeoutError:
            pass
        finally:
            self.network.remove(subscription)
            del self._no_responders_by_reply[inbox]
        return replies

    def on_no_responders(self, callback: Callable[[str], None]) -> None:
        self._on_no_responders.append(callback)

    def note_no_responders(self, subject: str, reply: str) -> None:
        """Tell whoever sent to `subject` that nobody was there."""
        if not self.process.is_alive or self.is_closed:
            return
        refuse = self._no_responders_by_reply.get(reply)
        if refuse is not None:
            refuse()
            return
        for callback in self._on_no_responders:
            callback(subject)

    async def close(self) -> None:
        self.disconnect()

    def disconnect(self) -> None:
        """Drop the connection and all subscriptions at once."""
        self.is_closed = True
        self.network.remove_all_of(self)

    def _next_inbox(self) -> str:
        self._requests += 1
        return f"_INBOX.{self.process.name}.{self._requests}"
