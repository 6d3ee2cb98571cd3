"""Settings of the sql process."""

from typing import Annotated

from msgspec import Meta

from perdure.base.durations import DurationMs, SizeBytes
from perdure.base.limits import MIB
from perdure.process.config import PublicConfig, Secret


class SqlConfig(PublicConfig, frozen=True, kw_only=True):
    """What the sql process needs to know beside the common settings."""

    bind: Annotated[str, Meta(description="address to listen on")] = "0.0.0.0"  # noqa: S104 - clients come from anywhere
    port: Annotated[int, Meta(description="port to listen on; 0 takes any free one", ge=0, le=65535)] = 9071
    user: Annotated[str, Meta(description="user that clients must name where a password is set; empty: any")] = ""
    password: Annotated[Secret, Meta(description="password that clients must know (SCRAM-SHA-256); empty: none is asked for")] = ""
    tls_required: Annotated[bool, Meta(description="refuse clients that do not use TLS; wants a certificate")] = False
    connections_max: Annotated[int, Meta(description="sessions at a time, beyond which clients are refused", ge=1)] = 300
    query_timeout: Annotated[DurationMs, Meta(description="how long one statement may take")] = 60_000
    query_memory_limit: Annotated[SizeBytes, Meta(description="what one statement may read of a table, and hold beside that")] = 128 * MIB
    result_rows_limit: Annotated[int, Meta(description="rows that one statement may return", ge=1)] = 1_000_000
    result_size_limit: Annotated[SizeBytes, Meta(description="bytes that one statement may return")] = 256 * MIB
