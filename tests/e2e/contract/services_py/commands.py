"""`VirtualObjectCommandInterpreter`: does what a list of commands says, and keeps the outcome of each in its state."""

import os
from datetime import timedelta
from typing import Any

from restate import (
    ObjectContext,
    ObjectSharedContext,
    RestateDurableFuture,
    RestateDurableSleepFuture,
    TerminalError,
    VirtualObject,
    as_completed,
    gather,
    select,
    wait_completed,
)

from tests.e2e.contract.services_py.surroundings import PREFIX

command_interpreter = VirtualObject(f"{PREFIX}VirtualObjectCommandInterpreter")


@command_interpreter.handler("interpretCommands")
async def interpret_commands(ctx: ObjectContext, request: dict[str, Any]) -> str:
    outcome = ""
    for command in request["commands"]:
        outcome = await _interpret(ctx, command)
        ctx.set("results", [*(await ctx.get("results", type_hint=list) or []), outcome])
    return outcome


async def _interpret(ctx: ObjectContext, command: dict[str, Any]) -> str:
    match command["type"]:
        case "resolveAwakeable" | "rejectAwakeable":
            await _complete(ctx, command)
            return ""
        case "getEnvVariable":
            return await ctx.run_typed("read", lambda: os.environ.get(command["envName"], ""))
        case "awaitAwakeableOrTimeout":
            return await _await_or_time_out(ctx, command)
        case "awaitOne":
            return await _value(_start(ctx, command["command"]))
        case _:
            return await _combine(command["type"], [_start(ctx, each) for each in command["commands"]])


def _start(ctx: ObjectContext, command: dict[str, Any]) -> RestateDurableFuture[Any]:
    match command["type"]:
        case "createAwakeable":
            awakeable_id, awakeable = ctx.awakeable(type_hint=str)
            ctx.set(f"awk-{command['awakeableKey']}", awakeable_id)
            return awakeable
        case "createSignal":
            return ctx.signal(command["signalName"], type_hint=str)
        case "sleep":
            return ctx.sleep(timedelta(milliseconds=command["timeoutMillis"]))
        case "runReturns":
            return ctx.run_typed("return", lambda: command["value"])
        case "runThrowTerminalException":
            return ctx.run_typed("throw", _throw, reason=command["reason"])
        case unknown:
            raise TerminalError(f"unknown command {unknown}")


async def _combine(how: str, started: list[RestateDurableFuture[Any]]) -> str:
    match how:
        case "awaitAny" | "awaitFirstCompleted":
            completed, _ = await wait_completed(*started)
            return await _value(completed[0])
        case "awaitAnySuccessful" | "awaitFirstSucceededOrAllFailed":
            return await _first_success(started)
        case "awaitAllSucceededOrFirstFailed":
            return "|".join([await _value(each) for each in await gather(*started)])
        case "awaitAllCompleted":
            return "|".join([await _outcome(each) for each in await gather(*started)])
        case unknown:
            raise TerminalError(f"unknown command {unknown}")


async def _first_success(started: list[RestateDurableFuture[Any]]) -> str:
    failure = TerminalError("nothing was started")
    async for each in as_completed(*started):
        try:
            return await _value(each)
        except TerminalError as error:
            failure = error
    raise failure


async def _value(future: RestateDurableFuture[Any]) -> str:
    value = await future
    return "sleep" if isinstance(future, RestateDurableSleepFuture) else value


async def _outcome(future: RestateDurableFuture[Any]) -> str:
    try:
        return f"ok:{await _value(future)}"
    except TerminalError as error:
        return f"err:{error.message}"


async def _await_or_time_out(ctx: ObjectContext, command: dict[str, Any]) -> str:
    awakeable = _start(ctx, {"type": "createAwakeable", "awakeableKey": command["awakeableKey"]})
    first, value = await select(awakeable=awakeable, timeout=ctx.sleep(timedelta(milliseconds=command["timeoutMillis"])))
    if first == "timeout":
        raise TerminalError("await-timeout")
    return value


def _throw(reason: str) -> str:
    raise TerminalError(reason)


async def _complete(ctx: ObjectContext | ObjectSharedContext, request: dict[str, Any]) -> None:
    awakeable_id = await ctx.get(f"awk-{request['awakeableKey']}", type_hint=str)
    if awakeable_id is None:
        raise TerminalError("no such awakeable")
    if "reason" in request:
        ctx.reject_awakeable(awakeable_id, request["reason"])
    else:
        ctx.resolve_awakeable(awakeable_id, request["value"])


@command_interpreter.handler("resolveAwakeable", kind="shared")
async def resolve_awakeable(ctx: ObjectSharedContext, request: dict[str, Any]) -> None:
    await _complete(ctx, request)


@command_interpreter.handler("rejectAwakeable", kind="shared")
async def reject_awakeable(ctx: ObjectSharedContext, request: dict[str, Any]) -> None:
    await _complete(ctx, request)


@command_interpreter.handler("hasAwakeable", kind="shared")
async def has_awakeable(ctx: ObjectSharedContext, awakeable_key: str) -> bool:
    return await ctx.get(f"awk-{awakeable_key}", type_hint=str) is not None


@command_interpreter.handler("getResults", kind="shared")
async def get_results(ctx: ObjectSharedContext) -> list[str]:
    return await ctx.get("results", type_hint=list) or []
