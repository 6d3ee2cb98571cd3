"""`ObjectInterpreterL0` to `L2` and `ServiceInterpreterHelper`: programs of many commands with their results awaited here and there.

A program is `{"commands": [{"kind": number, ...}]}`; an object of one layer can run a program on one of the next. Whatever way a counter
is incremented, each command counts once.
"""

import json
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import IntEnum
from typing import Any, Final

from restate import Context, ObjectContext, ObjectSharedContext, Service, TerminalError, VirtualObject

from tests.e2e.contract.services_py.surroundings import FAST_RETRIES, PREFIX

helper = Service(f"{PREFIX}ServiceInterpreterHelper")


class Kind(IntEnum):
    """The numbers by which the public contract knows the commands."""

    SET_STATE = 1
    GET_STATE = 2
    CLEAR_STATE = 3
    INCREMENT = 4
    INCREMENT_INDIRECTLY = 5
    SLEEP = 6
    CALL_SERVICE = 7
    CALL_SLOW_SERVICE = 8
    INCREMENT_VIA_DELAYED_CALL = 9
    SIDE_EFFECT = 10
    THROWING_SIDE_EFFECT = 11
    SLOW_SIDE_EFFECT = 12
    RECOVER_TERMINAL_CALL = 13
    RECOVER_TERMINAL_CALL_MAYBE_UNAWAITED = 14
    AWAIT = 15
    RESOLVE_AWAKEABLE = 16
    REJECT_AWAKEABLE = 17
    INCREMENT_VIA_AWAKEABLE = 18
    CALL_NEXT_LAYER = 19


ONE_INCREMENT: Final = json.dumps({"commands": [{"kind": Kind.INCREMENT}]}).encode()


class Run:
    """One run of a program: results that are still to be awaited stand under the index of their command."""

    def __init__(self, layer: int, ctx: ObjectContext) -> None:
        self.layer = layer
        self.ctx = ctx
        self.pending: dict[int, tuple[Any, Awaitable[Any]]] = {}

    async def step(self, index: int, command: dict[str, Any]) -> None:
        kind = Kind(command["kind"])
        if kind in STARTERS:
            self.pending[index] = STARTERS[kind](self, f"hello-{index}", command)
        else:
            await STEPS[kind](self, command)

    async def wait_for(self, command: dict[str, Any]) -> None:
        expected, started = self.pending.pop(command["index"])
        try:
            got = await started
        except TerminalError:
            got = "failed"
        if got != expected:
            raise TerminalError(f"expected {expected}, got {got}")

    def identity(self) -> dict[str, Any]:
        return {"layer": self.layer, "key": self.ctx.key()}

    async def set_state(self, command: dict[str, Any]) -> None:
        self.ctx.set(f"key-{command['key']}", f"value-{command['key']}")

    async def get_state(self, command: dict[str, Any]) -> None:
        await self.ctx.get(f"key-{command['key']}", type_hint=str)

    async def clear_state(self, command: dict[str, Any]) -> None:
        self.ctx.clear(f"key-{command['key']}")

    async def increment(self, command: dict[str, Any]) -> None:
        self.ctx.set("counter", (await self.ctx.get("counter", type_hint=int) or 0) + 1)

    async def increment_indirectly(self, command: dict[str, Any]) -> None:
        delay_ms = command.get("duration")
        delay = None if delay_ms is None else timedelta(milliseconds=delay_ms)
        self.ctx.service_send(increment_indirectly, arg=self.identity(), send_delay=delay)

    async def increment_via_awakeable(self, command: dict[str, Any]) -> None:
        awakeable_id, theirs = self.ctx.awakeable(type_hint=str)
        self.ctx.service_send(increment_via_awakeable_dance, arg={"interpreter": self.identity(), "txPromiseId": awakeable_id})
        self.ctx.resolve_awakeable(await theirs, "ok")

    async def sleep(self, command: dict[str, Any]) -> None:
        await self.ctx.sleep(timedelta(milliseconds=command["duration"]))

    async def side_effect(self, command: dict[str, Any]) -> None:
        if await self.ctx.run_typed("effect", lambda: "done") != "done":
            raise TerminalError("a side effect gave something else")

    async def throwing_side_effect(self, command: dict[str, Any]) -> None:
        def throw() -> None:
            if random.random() < 0.5:
                raise ValueError("now and then")

        await self.ctx.run_typed("throwing effect", throw)

    async def recover_terminal_call(self, command: dict[str, Any]) -> None:
        try:
            await self.ctx.service_call(terminal_failure, arg=None)
        except TerminalError:
            return
        raise TerminalError("the callee did not fail")

    def call_service(self, text: str, command: dict[str, Any]) -> tuple[Any, Awaitable[Any]]:
        return text, self.ctx.service_call(echo, arg=text)

    def call_slow_service(self, text: str, command: dict[str, Any]) -> tuple[Any, Awaitable[Any]]:
        return text, self.ctx.service_call(echo_later, arg={"parameter": text, "sleep": command["sleep"]})

    def call_terminal_failure(self, text: str, command: dict[str, Any]) -> tuple[Any, Awaitable[Any]]:
        return "failed", self.ctx.service_call(terminal_failure, arg=None)

    def resolve(self, text: str, command: dict[str, Any]) -> tuple[Any, Awaitable[Any]]:
        awakeable_id, awakeable = self.ctx.awakeable(type_hint=str)
        self.ctx.service_send(resolve_awakeable, arg=awakeable_id)
        return "ok", awakeable

    def reject(self, text: str, command: dict[str, Any]) -> tuple[Any, Awaitable[Any]]:
        awakeable_id, awakeable = self.ctx.awakeable(type_hint=str)
        self.ctx.service_send(reject_awakeable, arg=awakeable_id)
        return "failed", awakeable

    def call_next_layer(self, text: str, command: dict[str, Any]) -> tuple[Any, Awaitable[Any]]:
        name = f"{PREFIX}ObjectInterpreterL{self.layer + 1}"
        return b"", self.ctx.generic_call(name, "interpret", json.dumps(command["program"]).encode(), str(command["key"]))


STEPS: Final[dict[Kind, Callable[[Run, dict[str, Any]], Awaitable[None]]]] = {
    Kind.SET_STATE: Run.set_state,
    Kind.GET_STATE: Run.get_state,
    Kind.CLEAR_STATE: Run.clear_state,
    Kind.INCREMENT: Run.increment,
    Kind.INCREMENT_INDIRECTLY: Run.increment_indirectly,
    Kind.INCREMENT_VIA_DELAYED_CALL: Run.increment_indirectly,
    Kind.INCREMENT_VIA_AWAKEABLE: Run.increment_via_awakeable,
    Kind.SLEEP: Run.sleep,
    Kind.SIDE_EFFECT: Run.side_effect,
    Kind.SLOW_SIDE_EFFECT: Run.side_effect,
    Kind.THROWING_SIDE_EFFECT: Run.throwing_side_effect,
    Kind.RECOVER_TERMINAL_CALL: Run.recover_terminal_call,
    Kind.AWAIT: Run.wait_for,
}
STARTERS: Final[dict[Kind, Callable[[Run, str, dict[str, Any]], tuple[Any, Awaitable[Any]]]]] = {
    Kind.CALL_SERVICE: Run.call_service,
    Kind.CALL_SLOW_SERVICE: Run.call_slow_service,
    Kind.RECOVER_TERMINAL_CALL_MAYBE_UNAWAITED: Run.call_terminal_failure,
    Kind.RESOLVE_AWAKEABLE: Run.resolve,
    Kind.REJECT_AWAKEABLE: Run.reject,
    Kind.CALL_NEXT_LAYER: Run.call_next_layer,
}


def _layer(number: int) -> VirtualObject:
    layer = VirtualObject(f"{PREFIX}ObjectInterpreterL{number}", invocation_retry_policy=FAST_RETRIES)

    @layer.handler()
    async def interpret(ctx: ObjectContext, program: dict[str, Any]) -> None:
        run = Run(number, ctx)
        for index, command in enumerate(program["commands"]):
            await run.step(index, command)

    @layer.handler(kind="shared")
    async def counter(ctx: ObjectSharedContext) -> int:
        return await ctx.get("counter", type_hint=int) or 0

    return layer


layers = [_layer(number) for number in range(3)]


def _send_increment(ctx: Context, target: dict[str, Any]) -> None:
    ctx.generic_send(f"{PREFIX}ObjectInterpreterL{target['layer']}", "interpret", ONE_INCREMENT, target["key"])


@helper.handler()
async def ping(ctx: Context) -> None:
    """Do nothing."""


@helper.handler()
async def echo(ctx: Context, text: str) -> str:
    return text


@helper.handler("echoLater")
async def echo_later(ctx: Context, request: dict[str, Any]) -> str:
    await ctx.sleep(timedelta(milliseconds=request["sleep"]))
    return request["parameter"]


@helper.handler("terminalFailure")
async def terminal_failure(ctx: Context) -> str:
    raise TerminalError("bye")


@helper.handler("incrementIndirectly")
async def increment_indirectly(ctx: Context, target: dict[str, Any]) -> None:
    _send_increment(ctx, target)


@helper.handler("resolveAwakeable")
async def resolve_awakeable(ctx: Context, awakeable_id: str) -> None:
    ctx.resolve_awakeable(awakeable_id, "ok")


@helper.handler("rejectAwakeable")
async def reject_awakeable(ctx: Context, awakeable_id: str) -> None:
    ctx.reject_awakeable(awakeable_id, "rejected")


@helper.handler("incrementViaAwakeableDance")
async def increment_via_awakeable_dance(ctx: Context, request: dict[str, Any]) -> None:
    awakeable_id, answered = ctx.awakeable(type_hint=str)
    ctx.resolve_awakeable(request["txPromiseId"], awakeable_id)
    await answered
    _send_increment(ctx, request["interpreter"])
