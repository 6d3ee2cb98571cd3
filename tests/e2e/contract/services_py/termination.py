"""`CancelTestRunner`, `CancelTestBlockingService`, `KillTestRunner`, `KillTestSingleton`: what blocks until somebody ends it."""

from datetime import timedelta
from typing import Final

from restate import ObjectContext, TerminalError, VirtualObject

from tests.e2e.contract.services_py.awakeables import hold
from tests.e2e.contract.services_py.surroundings import PREFIX

cancel_runner = VirtualObject(f"{PREFIX}CancelTestRunner")
cancel_blocking = VirtualObject(f"{PREFIX}CancelTestBlockingService")
kill_runner = VirtualObject(f"{PREFIX}KillTestRunner")
kill_singleton = VirtualObject(f"{PREFIX}KillTestSingleton")
_CANCELLED: Final = 409


@cancel_runner.handler("startTest")
async def start_test(ctx: ObjectContext, operation: str) -> None:
    try:
        await ctx.object_call(block, key=ctx.key(), arg=operation)
    except TerminalError as error:
        if error.status_code != _CANCELLED:
            raise
        ctx.set("canceled", True)


@cancel_runner.handler("verifyTest")
async def verify_test(ctx: ObjectContext) -> bool:
    return await ctx.get("canceled", type_hint=bool) or False


@cancel_blocking.handler()
async def block(ctx: ObjectContext, operation: str) -> None:
    """Wait for the holder's word, then for what can never happen; `CALL` waits for its own lock."""
    awakeable_id, told = ctx.awakeable(type_hint=str)
    await ctx.object_call(hold, key=ctx.key(), arg=awakeable_id)
    await told
    match operation:
        case "CALL":
            await ctx.object_call(block, key=ctx.key(), arg=operation)
        case "SLEEP":
            await ctx.sleep(timedelta(days=1024))
        case "AWAKEABLE":
            await ctx.awakeable()[1]
        case _:
            raise TerminalError(f"unknown operation {operation}")


@cancel_blocking.handler("isUnlocked")
async def is_unlocked(ctx: ObjectContext) -> None:
    """Answer as soon as the lock is free."""


@kill_runner.handler("startCallTree")
async def start_call_tree(ctx: ObjectContext) -> None:
    await ctx.object_call(recursive_call, key=ctx.key(), arg=None)


@kill_singleton.handler("recursiveCall")
async def recursive_call(ctx: ObjectContext) -> None:
    """Wait for the holder's word, then for the own lock, which never comes free."""
    awakeable_id, told = ctx.awakeable(type_hint=str)
    ctx.object_send(hold, key=ctx.key(), arg=awakeable_id)
    await told
    await ctx.object_call(recursive_call, key=ctx.key(), arg=None)


@kill_singleton.handler("isUnlocked")
async def is_singleton_unlocked(ctx: ObjectContext) -> None:
    """Answer as soon as the lock is free."""
