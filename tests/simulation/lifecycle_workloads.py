"""Workloads of what happens to invocations from outside and between them: operations, promises, attach, retention, changes of state."""

import asyncio
import random

from perdure.base.ids import InvocationId
from perdure.model.result import Failure, Outcome, Success
from perdure.model.target import ServiceType
from perdure.sim.context import Context, TerminalError
from tests.simulation.workloads import COUNTER, EXCLUSIVE, PLAIN, RUN, SHARED, Client, ServiceSpec, pause, together


class Operations:
    """Operators cancel, kill, pause, resume, restart and purge what runs and has run; everything ends all the same."""

    def __init__(self, calls: int = 12) -> None:
        self.calls = calls
        self.services = (
            ServiceSpec("Long", ServiceType.SERVICE, {"parent": (PLAIN, self._parent), "work": (PLAIN, self._work)}),
            ServiceSpec("Held", ServiceType.VIRTUAL_OBJECT, {"hold": (EXCLUSIVE, self._hold)}),
        )

    async def _parent(self, context: Context, parameter: bytes) -> bytes:
        context.send("Long", "work", "", parameter)
        return await context.call("Held", "hold", "h", parameter)

    async def _work(self, context: Context, parameter: bytes) -> bytes:
        for _ in range(3):
            await context.sleep(700)
        return parameter

    async def _hold(self, context: Context, parameter: bytes) -> bytes:
        context.set("holder", parameter)
        await context.sleep(400)
        assert await context.get("holder") == parameter, "another one had the object meanwhile"
        return parameter

    async def run(self, client: Client, dice: random.Random) -> None:
        async def one(number: int) -> None:
            await pause(dice, 6)
            body = f"o{number}".encode()
            service, handler, key = dice.choice((("Long", "parent", None), ("Long", "work", None), ("Held", "hold", "h")))
            delay_ms = dice.choice((0, 0, 0, 2_000))
            invocation = await client.send(service, handler, key, body, delay_ms=delay_ms)
            disturbed = asyncio.get_running_loop().create_task(disturb(invocation))
            outcome = await client.attach(invocation)
            await disturbed
            if dice.random() < 0.3:
                await client.operate(invocation, "purge")
            if isinstance(outcome, Success):
                assert outcome.value == body
            elif outcome is not None:
                assert outcome.code == 409, outcome

        async def disturb(invocation: InvocationId) -> None:
            await pause(dice, 3)
            action = dice.choice(("cancel", "kill", "pause", "resume", "restart_as_new", "purge_journal"))
            await client.operate(invocation, action)
            if action == "pause":
                await pause(dice, 3)
                while await client.operate(invocation, "resume") not in ("already_completed", "not_found"):
                    await asyncio.sleep(1)

        await together(*[one(number) for number in range(self.calls)])

    def check(self, _: dict[tuple[str, str, str], bytes]) -> list[str]:
        return []


class Promises:
    """A workflow waits for a promise, which the first of several callers completes."""

    def __init__(self, keys: int = 3, callers: int = 3) -> None:
        self.callers = callers
        self.outcomes: dict[str, Outcome] = {f"p{number}": Failure(500, "never ran") for number in range(keys)}
        self.winners: dict[str, list[bytes]] = {key: [] for key in self.outcomes}
        handlers = {"run": (RUN, self._run), "approve": (SHARED, self._approve), "peek": (SHARED, self._peek)}
        self.services = (ServiceSpec("Approval", ServiceType.WORKFLOW, handlers),)

    async def _run(self, context: Context, _: bytes) -> bytes:
        return await context.promise("approved")

    async def _approve(self, context: Context, parameter: bytes) -> bytes:
        try:
            await context.complete_promise("approved", parameter)
        except TerminalError as error:
            if error.code != 409:
                raise
            return b"late"
        return b"first"

    async def _peek(self, context: Context, _: bytes) -> bytes:
        return await context.peek_promise("approved") or b"-"

    async def run(self, client: Client, dice: random.Random) -> None:
        async def begin(key: str) -> None:
            await pause(dice, 4)
            self.outcomes[key] = await client.call("Approval", "run", key, b"")

        async def approve(key: str, value: bytes) -> None:
            await pause(dice, 5)
            if await client.call("Approval", "approve", key, value) == Success(b"first"):
                self.winners[key].append(value)
            seen = await client.call("Approval", "peek", key, b"")
            assert seen in [Success(one) for one in self.winners[key]] or not self.winners[key]

        values = [f"v{number}".encode() for number in range(self.callers)]
        await together(*[begin(key) for key in self.outcomes], *[approve(key, value) for key in self.outcomes for value in values])

    def check(self, _: dict[tuple[str, str, str], bytes]) -> list[str]:
        return [
            f"the promise of {key} was completed by {self.winners[key]} and read as {outcome}"
            for key, outcome in self.outcomes.items()
            if [Success(value) for value in self.winners[key]] != [outcome] and not _is_repeated(outcome)
        ]


def _is_repeated(outcome: Outcome) -> bool:
    """Whether a client whose ingress died asked a second time for the run of a workflow."""
    return isinstance(outcome, Failure) and outcome.message == "the workflow method was already invoked"


class Attaching:
    """Handlers attach to idempotent calls of others and read their output; clients attach by id."""

    def __init__(self, calls: int = 5) -> None:
        self.calls = calls
        self.services = (
            ServiceSpec("Slow", ServiceType.SERVICE, {"work": (PLAIN, self._work)}),
            ServiceSpec("Watcher", ServiceType.SERVICE, {"watch": (PLAIN, self._watch), "look": (PLAIN, self._look)}),
        )

    async def _work(self, context: Context, parameter: bytes) -> bytes:
        await context.sleep(1_500)
        return parameter

    async def _watch(self, context: Context, parameter: bytes) -> bytes:
        try:
            return await context.attach("Slow", "", "work", parameter.decode())
        except TerminalError as error:
            return b"none" if error.code == 404 else error.message.encode()

    async def _look(self, context: Context, parameter: bytes) -> bytes:
        try:
            return await context.output("Slow", "", "work", parameter.decode()) or b"not yet"
        except TerminalError as error:
            return b"none" if error.code == 404 else error.message.encode()

    async def run(self, client: Client, dice: random.Random) -> None:
        async def work(name: str) -> None:
            await pause(dice, 3)
            invocation = await client.send("Slow", "work", None, name.encode(), idempotency_key=name)
            assert await client.attach(invocation) == Success(name.encode())
            assert await client.call("Watcher", "look", None, name.encode()) == Success(name.encode())

        async def watch(name: str, handler: str) -> None:
            await pause(dice, 5)
            seen = await client.call("Watcher", handler, None, name.encode())
            assert seen in (Success(name.encode()), Success(b"none"), Success(b"not yet"))

        names = [f"a{number}" for number in range(self.calls)]
        await together(*[work(name) for name in names], *[watch(name, handler) for name in names for handler in ("watch", "look")])

    def check(self, _: dict[tuple[str, str, str], bytes]) -> list[str]:
        return []


class Mutations:
    """Somebody replaces the state of counters that others add to; never while one of them holds the counter."""

    services = (COUNTER,)
    NEVER = b"-1000000"

    def __init__(self, keys: int = 2, calls: int = 6) -> None:
        self.keys = [f"m{number}" for number in range(keys)]
        self.calls = calls

    async def run(self, client: Client, dice: random.Random) -> None:
        async def add(key: str) -> None:
            await pause(dice, 6)
            assert isinstance(await client.call("Counter", "add", key, b"1"), Success)

        async def mutate(key: str, number: int) -> None:
            await pause(dice, 6)
            await client.mutate("Counter", key, {"count": str(1_000 * number).encode()} if number else {})
            await client.mutate("Counter", key, {"count": self.NEVER}, version="of a state that never was")

        numbers = range(self.calls)
        await together(*[add(key) for key in self.keys for _ in numbers], *[mutate(key, number) for key in self.keys for number in numbers])

    def check(self, state: dict[tuple[str, str, str], bytes]) -> list[str]:
        counts = {key: int(state.get(("Counter", key, "count"), b"0")) for key in self.keys}
        return [f"{key} is {count}" for key, count in counts.items() if not 0 <= count <= 1_000 * self.calls + self.calls]


class Expiry:
    """An idempotent call is repeated now and then: while its result is kept it is the same, afterwards it is a new one."""

    def __init__(self, keys: int = 3, repeats: int = 4) -> None:
        self.keys = keys
        self.repeats = repeats
        self.runs = 0
        self.services = (ServiceSpec("Brief", ServiceType.SERVICE, {"count": (PLAIN, self._count)}, retention_ms=1_200),)

    async def _count(self, context: Context, _: bytes) -> bytes:
        async def step() -> bytes:
            self.runs += 1
            return str(self.runs).encode()

        return await context.run("count", step)

    async def run(self, client: Client, dice: random.Random) -> None:
        async def repeat(key: str) -> None:
            for _ in range(self.repeats):
                await pause(dice, 3)
                assert isinstance(await client.call("Brief", "count", None, b"", key), Success)

        await together(*[repeat(f"e{number}") for number in range(self.keys)])

    def check(self, _: dict[tuple[str, str, str], bytes]) -> list[str]:
        return []
