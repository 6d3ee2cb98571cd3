"""What the simulated clients and handlers do, and what must be true of it afterwards.

A workload has `services` (with its handlers), `run` (the clients) and `check` (what it knows about the results).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

import msgspec

from perdure.base.ids import InvocationId, parse_awakeable_id
from perdure.model.result import Failure, Outcome, Success
from perdure.model.target import HandlerType, ServiceType
from perdure.sim.context import Context, Handler, RetryableError, TerminalError

EXCLUSIVE, SHARED, PLAIN, RUN = HandlerType.EXCLUSIVE, HandlerType.SHARED, HandlerType.PLAIN, HandlerType.WORKFLOW


class Client(Protocol):
    """How a workload reaches the services; everything is repeated until it is acknowledged."""

    async def call(self, service: str, handler: str, key: str | None, body: bytes, idempotency_key: str | None = None) -> Outcome: ...

    async def send(
        self, service: str, handler: str, key: str | None, body: bytes, *, delay_ms: int = 0, idempotency_key: str | None = None
    ) -> InvocationId: ...

    async def signal(self, invocation: InvocationId, index: int, value: bytes) -> None: ...

    async def attach(self, invocation: InvocationId) -> Outcome | None: ...

    async def operate(self, invocation: InvocationId, action: str) -> str: ...

    async def mutate(self, service: str, key: str, entries: dict[str, bytes], version: str | None = None) -> None: ...


class ServiceSpec(msgspec.Struct, frozen=True):
    """A service of a workload: handler name -> its type and code."""

    name: str
    service_type: ServiceType
    handlers: dict[str, tuple[HandlerType, Handler]]
    retention_ms: int | None = None
    """How long the result of an idempotent call is kept; None is a day."""


class Workload(Protocol):
    services: Sequence[ServiceSpec]

    async def run(self, client: Client, dice: random.Random) -> None: ...

    def check(self, state: dict[tuple[str, str, str], bytes]) -> list[str]:
        """Return what is wrong; `state` is (service, key, name) -> value at the end."""
        ...


async def together(*work: Coroutine[Any, Any, None]) -> None:
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)


async def pause(dice: random.Random, longest_s: float) -> None:
    await asyncio.sleep(dice.uniform(0.0, longest_s))


async def add(context: Context, parameter: bytes) -> bytes:
    """Add to a counter and return its new value."""
    after = str(int(await context.get("count") or b"0") + int(parameter)).encode()
    context.set("count", after)
    return after


COUNTER = ServiceSpec("Counter", ServiceType.VIRTUAL_OBJECT, {"add": (EXCLUSIVE, add)})


class Counters:
    """Keyed counters: each call counts once, however often it is repeated."""

    services = (COUNTER,)

    def __init__(self, keys: int = 3, calls: int = 8) -> None:
        self.keys = keys
        self.calls = calls
        self.answers: dict[str, list[int]] = {f"k{number}": [] for number in range(keys)}

    async def run(self, client: Client, dice: random.Random) -> None:
        async def one(key: str, number: int) -> None:
            await pause(dice, 10)
            if dice.random() < 0.3:
                outcome = await client.call("Counter", "add", key, b"1")
            else:
                outcomes = await repeatedly(key, f"{key}-{number}")
                outcome = outcomes[0]
                assert outcomes == [outcome] * len(outcomes), "repeats have the same result"
            assert isinstance(outcome, Success), outcome
            self.answers[key].append(int(outcome.value))

        async def repeatedly(key: str, idempotency_key: str) -> list[Outcome]:
            """Call several times at once and once again right after."""
            outcomes: list[Outcome] = []

            async def call() -> None:
                await pause(dice, 0.02)
                outcomes.append(await client.call("Counter", "add", key, b"1", idempotency_key))

            await together(call(), call(), call())
            await call()
            return outcomes

        await together(*[one(key, number) for key in self.answers for number in range(self.calls)])

    def check(self, state: dict[tuple[str, str, str], bytes]) -> list[str]:
        wrong: list[str] = []
        for key, answers in self.answers.items():
            if sorted(answers) != list(range(1, self.calls + 1)):
                wrong.append(f"counter {key} answered {answers}")
            if state.get(("Counter", key, "count")) != str(self.calls).encode():
                wrong.append(f"counter {key} is {state.get(('Counter', key, 'count'))!r}, not {self.calls}")
        return wrong


class TransferRing:
    """Money moves between accounts by calls of a service, and around the ring by sends between objects; none is made or lost."""

    def __init__(self, accounts: int = 4, transfers: int = 8) -> None:
        self.accounts = accounts
        self.transfers = transfers
        self.services = (
            ServiceSpec("Bank", ServiceType.SERVICE, {"transfer": (PLAIN, self._transfer)}),
            ServiceSpec(
                "Account",
                ServiceType.VIRTUAL_OBJECT,
                {"change": (EXCLUSIVE, self._change), "pass_on": (EXCLUSIVE, self._pass_on), "read": (SHARED, self._read)},
            ),
        )

    async def _transfer(self, context: Context, parameter: bytes) -> bytes:
        source, target = parameter.decode().split(">")
        await context.call("Account", "change", source, b"-5")
        await context.call("Account", "change", target, b"5")
        return b"done"

    async def _change(self, context: Context, parameter: bytes) -> bytes:
        after = str(int(await context.get("balance") or b"0") + int(parameter)).encode()
        context.set("balance", after)
        return after

    async def _pass_on(self, context: Context, parameter: bytes) -> bytes:
        hops = int(parameter)
        context.set("balance", str(int(await context.get("balance") or b"0") - 1).encode())
        following = str((int(context.key) + 1) % self.accounts)
        context.send("Account", "change", following, b"1")
        if hops > 1:
            context.send("Account", "pass_on", following, str(hops - 1).encode())
        return b""

    async def _read(self, context: Context, _: bytes) -> bytes:
        return await context.get("balance") or b"0"

    async def run(self, client: Client, dice: random.Random) -> None:
        async def transfer() -> None:
            await pause(dice, 8)
            source, target = dice.sample(range(self.accounts), 2)
            assert await client.call("Bank", "transfer", None, f"{source}>{target}".encode()) == Success(b"done")

        async def pass_on(start: int) -> None:
            await pause(dice, 8)
            await client.send("Account", "pass_on", str(start), b"3")

        async def read(account: int) -> None:
            await pause(dice, 8)
            assert isinstance(await client.call("Account", "read", str(account), b""), Success)

        await together(*[transfer() for _ in range(self.transfers)], pass_on(0), pass_on(2), read(1))

    def check(self, state: dict[tuple[str, str, str], bytes]) -> list[str]:
        balances = [int(value) for (service, _, _), value in state.items() if service == "Account"]
        return [] if sum(balances) == 0 else [f"balances {balances} do not add up to 0"]


class SleepStorm:
    """Many handlers sleep at once, one timer after the other or several side by side."""

    def __init__(self, sleepers: int = 20) -> None:
        self.sleepers = sleepers
        self.services = (ServiceSpec("Sleeper", ServiceType.SERVICE, {"sleep": (PLAIN, self._sleep), "nap": (PLAIN, self._nap)}),)

    async def _sleep(self, context: Context, parameter: bytes) -> bytes:
        await context.sleep(int(parameter))
        await context.sleep(int(parameter) // 2)
        return parameter

    async def _nap(self, context: Context, parameter: bytes) -> bytes:
        await context.all([context.sleeping(int(parameter)), context.sleeping(1), context.sleeping(int(parameter) // 3)])
        return parameter

    async def run(self, client: Client, dice: random.Random) -> None:
        loop = asyncio.get_running_loop()

        async def one(handler: str, duration_ms: int) -> None:
            await pause(dice, 5)
            body = str(duration_ms).encode()
            began = loop.time()
            assert await client.call("Sleeper", handler, None, body) == Success(body)
            assert loop.time() - began > 0

        await together(*[one(dice.choice(("sleep", "nap")), dice.randrange(1, 8_000)) for _ in range(self.sleepers)])

    def check(self, _: dict[tuple[str, str, str], bytes]) -> list[str]:
        return []


class Awakeables:
    """Handlers wait for awakeables, which other handlers and clients resolve."""

    def __init__(self, waiters: int = 8) -> None:
        self.waiters = waiters
        self.published: dict[str, str] = {}
        self.services = (
            ServiceSpec("Waiter", ServiceType.SERVICE, {"wait": (PLAIN, self._wait), "wait_outside": (PLAIN, self._wait_outside)}),
            ServiceSpec("Resolver", ServiceType.SERVICE, {"resolve": (PLAIN, self._resolve)}),
        )

    async def _wait(self, context: Context, parameter: bytes) -> bytes:
        awakeable_id, awaited = context.awakeable()
        context.send("Resolver", "resolve", "", awakeable_id.encode() + b"=" + parameter)
        return (await context.all([awaited]))[0]

    async def _wait_outside(self, context: Context, parameter: bytes) -> bytes:
        awakeable_id, awaited = context.awakeable()

        async def publish() -> bytes:
            self.published[parameter.decode()] = awakeable_id
            return b""

        await context.run("publish", publish)
        return (await context.all([awaited]))[0]

    async def _resolve(self, context: Context, parameter: bytes) -> bytes:
        awakeable_id, value = parameter.split(b"=", 1)
        await context.sleep(300)
        context.resolve_awakeable(awakeable_id.decode(), value)
        return b""

    async def run(self, client: Client, dice: random.Random) -> None:
        async def inside(value: bytes) -> None:
            await pause(dice, 5)
            assert await client.call("Waiter", "wait", None, value) == Success(value)

        async def outside(value: bytes) -> None:
            await pause(dice, 5)
            assert await client.call("Waiter", "wait_outside", None, value) == Success(value)

        async def resolve(value: str) -> None:
            while value not in self.published:
                await asyncio.sleep(0.05)
            await pause(dice, 3)
            invocation, index = parse_awakeable_id(self.published[value])
            await client.signal(invocation, index, value.encode())

        names = [f"v{number}" for number in range(self.waiters)]
        await together(
            *[inside(f"i{name}".encode()) for name in names],
            *[outside(name.encode()) for name in names],
            *[resolve(name) for name in names],
        )

    def check(self, _: dict[tuple[str, str, str], bytes]) -> list[str]:
        return []


class DelayedSends:
    """Sends with and without delay, from clients and from handlers, each arrive once."""

    def __init__(self, sends: int = 10) -> None:
        self.sends = sends
        self.services = (COUNTER, ServiceSpec("Relay", ServiceType.SERVICE, {"relay": (PLAIN, self._relay)}))

    async def _relay(self, context: Context, parameter: bytes) -> bytes:
        for delay_ms in (0, int(parameter), 2 * int(parameter)):
            context.send("Counter", "add", "relayed", b"1", delay_ms=delay_ms)
        return b""

    async def run(self, client: Client, dice: random.Random) -> None:
        async def send(number: int) -> None:
            await pause(dice, 5)
            await client.send(
                "Counter",
                "add",
                "sent",
                b"1",
                delay_ms=dice.choice((0, 50, 3_000, 20_000)),
                idempotency_key=dice.choice((None, f"s{number}")),
            )

        async def relay() -> None:
            await pause(dice, 5)
            body = str(dice.choice((1, 700, 9_000))).encode()
            assert await client.call("Relay", "relay", None, body) == Success(b"")

        await together(*[send(number) for number in range(self.sends)], *[relay() for _ in range(self.sends // 2)])

    def check(self, state: dict[tuple[str, str, str], bytes]) -> list[str]:
        wanted = {"sent": self.sends, "relayed": 3 * (self.sends // 2)}
        counts = {key: int(state.get(("Counter", key, "count"), b"0")) for key in wanted}
        return [] if counts == wanted else [f"counted {counts}, wanted {wanted}"]


class Steps:
    """Handlers with journaled steps whose results differ each time they run: the answer tells which ones counted."""

    def __init__(self, calls: int = 8, steps: int = 5) -> None:
        self.calls = calls
        self.steps = steps
        self.runs: dict[tuple[str, int], int] = {}
        self.services = (ServiceSpec("Stepper", ServiceType.SERVICE, {"go": (PLAIN, self._go)}),)

    async def _go(self, context: Context, parameter: bytes) -> bytes:
        results: list[bytes] = []
        for number in range(self.steps):
            results.append(await context.run(f"step {number}", self._step(parameter.decode(), number)))
        return b",".join(results)

    def _step(self, name: str, number: int) -> Callable[[], Awaitable[bytes]]:
        async def step() -> bytes:
            self.runs[name, number] = run = self.runs.get((name, number), 0) + 1
            if number == 2:
                await asyncio.sleep(0.2)
            if number == 3 and run == 1:
                raise RetryableError("the first run of step 3 fails")
            return f"{number}:{run}".encode()

        return step

    async def run(self, client: Client, dice: random.Random) -> None:
        async def one(name: str) -> None:
            await pause(dice, 8)
            outcome = await client.call("Stepper", "go", None, name.encode())
            assert isinstance(outcome, Success), outcome
            for number, result in enumerate(outcome.value.decode().split(",")):
                step, _, run = result.partition(":")
                assert int(step) == number
                assert 1 <= int(run) <= self.runs[name, number]

        await together(*[one(f"c{number}") for number in range(self.calls)])

    def check(self, _: dict[tuple[str, str, str], bytes]) -> list[str]:
        return [] if len(self.runs) == self.calls * self.steps else ["a step never ran"]


class Failing:
    """Handlers that fail for good, for a while, or in what they call."""

    def __init__(self, calls: int = 6) -> None:
        self.calls = calls
        self.tries: dict[bytes, int] = {}
        self.services = (
            ServiceSpec(
                "Failing",
                ServiceType.SERVICE,
                {"terminal": (PLAIN, self._terminal), "flaky": (PLAIN, self._flaky), "outer": (PLAIN, self._outer)},
            ),
        )

    async def _terminal(self, _: Context, parameter: bytes) -> bytes:
        raise TerminalError(418, parameter.decode())

    async def _flaky(self, _: Context, parameter: bytes) -> bytes:
        self.tries[parameter] = tries = self.tries.get(parameter, 0) + 1
        if tries < 3:
            raise RetryableError("not yet")
        return parameter

    async def _outer(self, context: Context, parameter: bytes) -> bytes:
        try:
            await context.call("Failing", "terminal", "", parameter)
        except TerminalError as error:
            if error.code != 418:
                raise
            return b"caught " + error.message.encode()
        return b"not thrown"

    async def run(self, client: Client, dice: random.Random) -> None:
        async def one(handler: str, body: bytes, wanted: Outcome) -> None:
            await pause(dice, 5)
            assert await client.call("Failing", handler, None, body) == wanted

        for number in range(self.calls):
            body = f"n{number}".encode()
            await together(
                one("terminal", body, Failure(418, body.decode())),
                one("flaky", body, Success(body)),
                one("outer", body, Success(b"caught " + body)),
            )

    def check(self, _: dict[tuple[str, str, str], bytes]) -> list[str]:
        return []


class OrderedSends:
    """What one handler sends to one object arrives in the order in which it was sent."""

    def __init__(self, senders: int = 4, sends: int = 5) -> None:
        self.senders = senders
        self.sends = sends
        self.services = (
            ServiceSpec("Sender", ServiceType.SERVICE, {"send": (PLAIN, self._send)}),
            ServiceSpec("List", ServiceType.VIRTUAL_OBJECT, {"append": (EXCLUSIVE, self._append)}),
        )

    async def _send(self, context: Context, parameter: bytes) -> bytes:
        for number in range(self.sends):
            item = f"{parameter.decode()}.{number}"
            idempotency_key = item if number % 2 == 0 else None  # a key makes the receiver look for an earlier invocation first
            context.send("List", "append", "l", item.encode(), idempotency_key=idempotency_key)
        return b""

    async def _append(self, context: Context, parameter: bytes) -> bytes:
        before = await context.get("items")
        context.set("items", parameter if before is None else before + b" " + parameter)
        return b""

    async def run(self, client: Client, dice: random.Random) -> None:
        async def one(name: bytes) -> None:
            await pause(dice, 3)
            assert await client.call("Sender", "send", None, name) == Success(b"")

        await together(*[one(f"s{number}".encode()) for number in range(self.senders)])

    def check(self, state: dict[tuple[str, str, str], bytes]) -> list[str]:
        items = state.get(("List", "l", "items"), b"").decode().split()
        by_sender = [[item for item in items if item.startswith(f"s{sender}.")] for sender in range(self.senders)]
        wanted = [[f"s{sender}.{number}" for number in range(self.sends)] for sender in range(self.senders)]
        return [] if by_sender == wanted else [f"the list {items} is not in the order of its senders"]


class Workflows:
    """A workflow runs once per key, and whoever asks a second time is told so."""

    def __init__(self, keys: int = 3) -> None:
        self.keys = keys
        self.runs: dict[str, int] = {}
        self.outcomes: dict[str, list[Outcome]] = {f"w{number}": [] for number in range(keys)}
        self.services = (ServiceSpec("Flow", ServiceType.WORKFLOW, {"run": (RUN, self._run), "peek": (SHARED, self._peek)}),)

    async def _run(self, context: Context, parameter: bytes) -> bytes:
        context.set("stage", b"begun")
        await context.sleep(500)
        context.set("stage", b"done")
        return parameter

    async def _peek(self, context: Context, _: bytes) -> bytes:
        return await context.get("stage") or b"-"

    async def run(self, client: Client, dice: random.Random) -> None:
        async def one(key: str, body: bytes) -> None:
            await pause(dice, 3)
            self.outcomes[key].append(await client.call("Flow", "run", key, body))

        async def peek(key: str) -> None:
            await pause(dice, 4)
            assert isinstance(await client.call("Flow", "peek", key, b""), Success)

        await together(*[one(key, body) for key in self.outcomes for body in (b"a", b"b")], *[peek(key) for key in self.outcomes])

    def check(self, state: dict[tuple[str, str, str], bytes]) -> list[str]:
        wrong = [
            f"workflow {key} ended as {outcomes}"
            for key, outcomes in self.outcomes.items()
            if not any(isinstance(one, Success) for one in outcomes)
            or any(isinstance(one, Failure) and one.message != "the workflow method was already invoked" for one in outcomes)
        ]
        return wrong + [
            f"workflow {key} left {state.get(('Flow', key, 'stage'))!r}"
            for key in self.outcomes
            if state.get(("Flow", key, "stage")) != b"done"
        ]
