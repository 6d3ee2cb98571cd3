"""Settings of the invoker."""

from typing import Annotated

from msgspec import Meta

from perdure.base.durations import DurationMs, SizeBytes
from perdure.process.config import CommonConfig


class InvokerConfig(CommonConfig, frozen=True, kw_only=True):
    """What an invoker can be told."""

    concurrent_invocations_limit: Annotated[int, Meta(ge=1, description="attempts that run at the same time")] = 1000
    invocations_max: Annotated[int, Meta(ge=1, description="unfinished invocations (4 kB each) beyond which new ones are refused")] = (
        250_000
    )
    message_size_limit: Annotated[SizeBytes, Meta(description="largest message from a deployment")] = 32 * 1024 * 1024
    experimental_enable_protocol_v7: Annotated[
        bool, Meta(description="let new invocations use protocol V7; they stay with it, and need a server that knows it")
    ] = False
    state_cache_keys: Annotated[int, Meta(ge=1, description="objects whose state stays in memory, per partition")] = 10_000
    takeover_after: Annotated[DurationMs, Meta(description="how long to listen before an owner that never spoke is dead")] = 3_000
    poll_interval: Annotated[DurationMs, Meta(description="how often leases and mailboxes are looked at without a bell")] = 1_000
