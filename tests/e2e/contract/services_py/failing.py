"""`Failing`: terminal errors with and without metadata, attempts that fail, and side effects with a policy of their own."""

from collections import Counter
from datetime import timedelta
from typing import Any

from restate import ObjectContext, RunOptions, TerminalError, VirtualObject

from tests.e2e.contract.services_py.surroundings import FAST_RETRIES, PREFIX

failing = VirtualObject(f"{PREFIX}Failing", invocation_retry_policy=FAST_RETRIES)
tries: Counter[str] = Counter()
"""Invocation -> how often its handler or its side effect has run in this process."""


def _failure(request: dict[str, Any]) -> TerminalError:
    return TerminalError(request["errorMessage"], metadata=request.get("metadata"))


@failing.handler("terminallyFailingCall")
async def terminally_failing_call(ctx: ObjectContext, request: dict[str, Any]) -> None:
    raise _failure(request)


@failing.handler("callTerminallyFailingCall")
async def call_terminally_failing_call(ctx: ObjectContext, request: dict[str, Any]) -> str:
    await ctx.object_call(terminally_failing_call, key=str(ctx.uuid()), arg=request)
    raise AssertionError("the callee did not fail")


@failing.handler("failingCallWithEventualSuccess")
async def failing_call_with_eventual_success(ctx: ObjectContext) -> int:
    tries[ctx.request().id] += 1
    if tries[ctx.request().id] < 4:
        raise ValueError(f"attempt {tries[ctx.request().id]} fails")
    return tries[ctx.request().id]


@failing.handler("terminallyFailingSideEffect")
async def terminally_failing_side_effect(ctx: ObjectContext, request: dict[str, Any]) -> None:
    def fail() -> None:
        raise _failure(request)

    await ctx.run_typed("fail", fail)
    raise AssertionError("the side effect did not fail")


@failing.handler("sideEffectSucceedsAfterGivenAttempts")
async def side_effect_succeeds_after_given_attempts(ctx: ObjectContext, minimum_attempts: int) -> int:
    def stumble() -> int:
        tries[ctx.request().id] += 1
        if tries[ctx.request().id] < minimum_attempts:
            raise ValueError(f"try {tries[ctx.request().id]} fails")
        return tries[ctx.request().id]

    return await ctx.run_typed("stumble", stumble, RunOptions(initial_retry_interval=timedelta(milliseconds=10), retry_interval_factor=1.0))


@failing.handler("sideEffectFailsAfterGivenAttempts")
async def side_effect_fails_after_given_attempts(ctx: ObjectContext, max_attempts: int) -> int:
    def fail() -> None:
        tries[ctx.request().id] += 1
        raise ValueError(f"try {tries[ctx.request().id]} fails")

    options: RunOptions[None] = RunOptions(max_attempts=max_attempts, initial_retry_interval=timedelta(milliseconds=10))
    try:
        await ctx.run_typed("fail", fail, options)
    except TerminalError:
        return await ctx.run_typed("count", lambda: tries[ctx.request().id])
    raise AssertionError("the side effect did not fail")
