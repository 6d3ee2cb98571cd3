"""`Beyond`: what the public contract has no handler for."""

from collections import Counter
from datetime import timedelta
from typing import Any

from restate import Context, InvocationRetryPolicy, RunOptions, Service
from restate.exceptions import RetryableError

from tests.e2e.contract.services_py.echoes import echo_headers
from tests.e2e.contract.services_py.surroundings import FAST_RETRIES, PREFIX, effect

beyond = Service(f"{PREFIX}Beyond", invocation_retry_policy=FAST_RETRIES)
attempts: Counter[str] = Counter()


@beyond.handler()
async def attach(ctx: Context, invocation_id: str) -> Any:
    return await ctx.attach_invocation(invocation_id)


@beyond.handler("callWithHeaders")
async def call_with_headers(ctx: Context, headers: dict[str, str]) -> dict[str, str]:
    return await ctx.service_call(echo_headers, arg=None, headers=headers)


@beyond.handler("drawTwice")
async def draw_twice(ctx: Context) -> list[str]:
    """Return two uuids, drawn before and after a suspension."""
    first = str(ctx.uuid())
    await ctx.sleep(timedelta(milliseconds=20))
    return [first, str(ctx.uuid())]


@beyond.handler()
async def stumble(ctx: Context, request: dict[str, Any]) -> int:
    """Fail `times` attempts after `steps` journaled steps, then return the number of the attempt."""
    tag = request["tag"]
    for number in range(request["steps"]):
        await ctx.run_typed(f"step-{number}", effect, RunOptions(), tag, f"step-{number}")
    attempts[tag] += 1
    if attempts[tag] <= request["times"]:
        raise ValueError(f"attempt {attempts[tag]} fails")
    return attempts[tag]


@beyond.handler("tryLater")
async def try_later(ctx: Context, request: dict[str, Any]) -> int:
    """Ask for another attempt after `delayMillis`, much later than the policy would have it, and then return."""
    effect(request["tag"], "attempt")
    attempts[request["tag"]] += 1
    if attempts[request["tag"]] == 1:
        raise RetryableError("later", retry_after=timedelta(milliseconds=request["delayMillis"]))
    return attempts[request["tag"]]


@beyond.handler(
    "giveUp",
    invocation_retry_policy=InvocationRetryPolicy(max_attempts=3, on_max_attempts="kill", initial_interval=timedelta(milliseconds=10)),
)
async def give_up(ctx: Context, tag: str) -> None:
    """Fail every attempt; the policy allows three."""
    effect(tag, "attempt")
    raise ValueError("never")


@beyond.handler("waitForWord")
async def wait_for_word(ctx: Context, tag: str) -> str:
    """Tell the id of an awakeable under `tag`, and return its value."""
    awakeable_id, word = ctx.awakeable(type_hint=str)
    await ctx.run_typed("tell", effect, RunOptions(), tag, awakeable_id)
    return await word
