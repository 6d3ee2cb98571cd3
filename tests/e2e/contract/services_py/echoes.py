"""`TestUtilsService`: echoes, counted side effects, concurrent sleeps, cancellation and named signals by handlers."""

from datetime import timedelta
from typing import Any

from restate import Context, Service
from restate.serde import BytesSerde

from tests.e2e.contract.services_py.surroundings import PREFIX

echoes = Service(f"{PREFIX}TestUtilsService")


@echoes.handler()
async def echo(ctx: Context, text: str) -> str:
    return text


@echoes.handler("uppercaseEcho")
async def uppercase_echo(ctx: Context, text: str) -> str:
    return text.upper()


@echoes.handler("echoHeaders")
async def echo_headers(ctx: Context) -> dict[str, str]:
    return dict(ctx.request().headers)


@echoes.handler("rawEcho", accept="*/*", content_type="application/octet-stream", input_serde=BytesSerde(), output_serde=BytesSerde())
async def raw_echo(ctx: Context, body: bytes) -> bytes:
    return body


@echoes.handler("sleepConcurrently")
async def sleep_concurrently(ctx: Context, durations_ms: list[int]) -> None:
    for sleep in [ctx.sleep(timedelta(milliseconds=duration)) for duration in durations_ms]:
        await sleep


@echoes.handler("countExecutedSideEffects")
async def count_executed_side_effects(ctx: Context, increments: int) -> int:
    """Return how many side effects the last attempt ran itself; a suspension at each leaves none for it."""
    executed = 0

    def count() -> None:
        nonlocal executed
        executed += 1

    for _ in range(increments):
        await ctx.run_typed("count", count)
    return executed


@echoes.handler("cancelInvocation")
async def cancel_invocation(ctx: Context, invocation_id: str) -> None:
    ctx.cancel_invocation(invocation_id)


@echoes.handler("resolveSignal")
async def resolve_signal(ctx: Context, request: dict[str, Any]) -> None:
    ctx.resolve_signal(request["invocationId"], request["signalName"], request["value"])


@echoes.handler("rejectSignal")
async def reject_signal(ctx: Context, request: dict[str, Any]) -> None:
    ctx.reject_signal(request["invocationId"], request["signalName"], request["reason"])
