"""Timeouts and limits of the deployment client. Source: shared/spec/service-protocol.md, 2.4."""

import msgspec

from perdure.base.limits import MIB


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the deployment client may take and how long it waits. Durations are milliseconds."""

    connect_timeout_ms: int = 10_000
    """From the first packet to a usable connection: TCP, TLS, and the peer's SETTINGS on HTTP/2."""
    streams_per_connection_max: int = 128
    """Streams on one HTTP/2 connection; the peer's SETTINGS may lower it."""
    http2_connections_max: int = 64
    """HTTP/2 connections per scheme and authority."""
    http1_connections_max: int = 512
    """HTTP/1.1 connections per scheme and authority: one exchange each."""
    waiting_max: int = 100_000
    """Exchanges per scheme and authority that wait for a connection; more of them fail at once."""
    ping_interval_ms: int = 40_000
    """How often an HTTP/2 connection is probed; 0 turns it off."""
    ping_timeout_ms: int = 20_000
    """Silence after a probe that ends the connection."""
    idle_timeout_ms: int = 300_000
    """Time without an exchange after which a connection is closed."""
    stream_window_bytes: int = 2 * MIB
    """Response bytes of one stream that may be on their way."""
    connection_window_bytes: int = 5 * MIB
    """Response bytes of one HTTP/2 connection that may be on their way."""
    ca_file: str | None = None
    """PEM file of certificate authorities to trust instead of the system's."""
    assume_role_external_id: str = ""
    """Shown to AWS when a role is assumed to call a Lambda function; empty for none."""
    request_compression_bytes_min: int = 4 * MIB
    """Size from which requests are compressed for Lambda functions that can read that."""
    additional_headers: dict[str, str] = {}
    """Go with every request and win over those of a deployment."""
