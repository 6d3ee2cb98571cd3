"""Settings of the invoker. Source of defaults: shared/spec/service-protocol.md, 6.1 and 6.6."""

from typing import Annotated

from msgspec import Meta

from perdure.base.durations import DurationMs, SizeBytes
from perdure.process.config import CommonConfig


class InvokerConfig(CommonConfig, frozen=True, kw_only=True):
    """What an invoker can be told."""

    concurrent_invocations_limit: Annotated[int, Meta(ge=1, description="attempts that run at the same time")] = 1000
    invocations_max: Annotated[int, Meta(ge=1, description="unfinished invocations in memory beyond which new ones are refused")] = (
        1_000_000
    )
    inactivity_timeout: Annotated[DurationMs, Meta(description="silence after which a handler is asked to suspend")] = 60_000
    abort_timeout: Annotated[DurationMs, Meta(description="silence after that request that ends the attempt")] = 600_000
    message_size_limit: Annotated[SizeBytes, Meta(description="largest message from a deployment")] = 32 * 1024 * 1024
    state_cache_keys: Annotated[int, Meta(ge=1, description="objects whose state stays in memory, per partition")] = 10_000
    retry_initial_interval: Annotated[DurationMs, Meta(description="delay before the first retry")] = 500
    retry_factor: Annotated[float, Meta(ge=1.0, description="factor by which the delay grows")] = 2.0
    retry_max_interval: Annotated[DurationMs, Meta(description="longest delay between retries")] = 60_000
    retry_max_attempts: Annotated[int, Meta(ge=0, description="attempts, the first included; 0 is unlimited")] = 70
    retry_pauses: Annotated[bool, Meta(description="pause when the attempts are used up; false: end with the last error")] = True
    takeover_after: Annotated[DurationMs, Meta(description="silence after which an owner's partitions are taken")] = 3_000
    poll_interval: Annotated[DurationMs, Meta(description="how often leases and mailboxes are looked at without a bell")] = 1_000
