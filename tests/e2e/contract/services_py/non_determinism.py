"""`NonDeterministic`: handlers that go another way at every second attempt. Every await suspends, so that a second attempt comes."""

from collections import Counter
from datetime import timedelta

from restate import InvocationRetryPolicy, ObjectContext, VirtualObject

from tests.e2e.contract.services_py import counter
from tests.e2e.contract.services_py.surroundings import PREFIX

non_deterministic = VirtualObject(
    f"{PREFIX}NonDeterministic",
    inactivity_timeout=timedelta(0),
    invocation_retry_policy=InvocationRetryPolicy(max_attempts=1, on_max_attempts="pause"),
)
attempts: Counter[str] = Counter()


def _goes_left(ctx: ObjectContext) -> bool:
    attempts[ctx.request().id] += 1
    return attempts[ctx.request().id] % 2 == 1


async def _end(ctx: ObjectContext) -> None:
    await ctx.sleep(timedelta(milliseconds=50))
    ctx.object_send(counter.add, key=ctx.key(), arg=1)


@non_deterministic.handler("setDifferentKey")
async def set_different_key(ctx: ObjectContext) -> None:
    ctx.set("a" if _goes_left(ctx) else "b", "my-state")
    await _end(ctx)


@non_deterministic.handler("backgroundInvokeWithDifferentTargets")
async def background_invoke_with_different_targets(ctx: ObjectContext) -> None:
    if _goes_left(ctx):
        ctx.object_send(counter.get, key="abc", arg=None)
    else:
        ctx.object_send(counter.reset, key="abc", arg=None)
    await _end(ctx)


@non_deterministic.handler("callDifferentMethod")
async def call_different_method(ctx: ObjectContext) -> None:
    if _goes_left(ctx):
        await ctx.object_call(counter.get, key="abc", arg=None)
    else:
        await ctx.object_call(counter.reset, key="abc", arg=None)
    await _end(ctx)


@non_deterministic.handler("eitherSleepOrCall")
async def either_sleep_or_call(ctx: ObjectContext) -> None:
    if _goes_left(ctx):
        await ctx.sleep(timedelta(milliseconds=50))
    else:
        await ctx.object_call(counter.get, key="abc", arg=None)
    await _end(ctx)
