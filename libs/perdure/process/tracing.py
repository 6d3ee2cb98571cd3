"""Whom a process hands its spans to. Nothing of OpenTelemetry is imported before it is wanted."""

from typing import Protocol

from perdure.process.config import CommonConfig
from perdure.process.spans import Spans


class Exporter(Spans, Protocol):
    """Sends spans in the background."""

    async def close(self) -> None:
        """Send what is left, for a bounded time."""
        ...


def open_exporter(config: CommonConfig, *, role: str, process_id: str) -> Exporter | None:
    """Return what sends this process's spans, or None where the configuration names no endpoint.

    Raises:
        ConfigurationError: The endpoint is no address.
    """
    if not config.tracing_endpoint:
        return None
    from perdure.process.otlp import OtlpExporter, sender_to  # 150 ms and 10 MB that only those pay who trace

    sender = sender_to(config.tracing_endpoint, config.tracing_protocol, config.tracing_headers)
    return OtlpExporter(sender, role=role, process_id=process_id)
