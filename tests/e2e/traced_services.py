"""Services whose handlers trace what they do, below the span that the server names in their headers. ASGI app: `app`.

What a handler does outside of the server is a line in the file `EFFECTS_FILE`; its spans go to the collector at `COLLECTOR_URL`.
"""

import os
from datetime import timedelta

import restate
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

EFFECTS = os.open(os.environ["EFFECTS_FILE"], os.O_WRONLY | os.O_APPEND)
provider = TracerProvider(resource=Resource.create({"service.name": "handlers"}))
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(os.environ["COLLECTOR_URL"])))
tracer = provider.get_tracer("handlers")

traced = restate.Service("Traced")
ledger = restate.VirtualObject("Ledger")
app = restate.app([traced, ledger])


def effect(tag: str, what: str) -> None:
    """Do something outside of the server that can be counted."""
    os.write(EFFECTS, f"{tag} {what}\n".encode())


def begin(ctx: restate.Context, handler: str, tag: str) -> Context:
    """Tell which context this attempt was given, and return it."""
    effect(tag, f"{handler} {ctx.request().id} {ctx.request().attempt_headers.get('traceparent')}")
    return TraceContextTextMapPropagator().extract(dict(ctx.request().attempt_headers))


@traced.handler()
async def order(ctx: restate.Context, tag: str) -> int:
    with tracer.start_as_current_span("handler order", context=begin(ctx, "order", tag)):
        await ctx.run_typed("charge", lambda: 1)
        await ctx.sleep(timedelta(milliseconds=20))
        ctx.service_send(notify, tag)
        return await ctx.object_call(book, tag, 5)


@traced.handler()
async def notify(ctx: restate.Context, tag: str) -> None:
    begin(ctx, "notify", tag)


@traced.handler()
async def wait(ctx: restate.Context, tag: str) -> str:
    begin(ctx, "wait", tag)
    await ctx.run_typed("once", lambda: 1)
    awakeable_id, result = ctx.awakeable(type_hint=str)
    effect(f"{tag}-awakeable", awakeable_id)
    return await result


@ledger.handler()
async def book(ctx: restate.ObjectContext, amount: int) -> int:
    with tracer.start_as_current_span("handler book", context=begin(ctx, "book", ctx.key())):
        balance = (await ctx.get("balance", type_hint=int) or 0) + amount
        ctx.set("balance", balance)
        return balance
