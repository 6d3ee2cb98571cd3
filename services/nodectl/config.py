"""Settings of the nodectl process."""

from typing import Annotated

from msgspec import Meta

from perdure.process.config import DurationMs, PublicConfig


class NodectlConfig(PublicConfig, frozen=True, kw_only=True):
    """What nodectl needs to know beside the common settings."""

    bind: Annotated[str, Meta(description="address to listen on")] = "0.0.0.0"  # noqa: S104  # probes come from anywhere
    port: Annotated[int, Meta(description="port to listen on; 0 takes any free one", ge=0, le=65535)] = 5122
    cluster_name: Annotated[str, Meta(description="name of the cluster in health answers")] = "localcluster"
    required_roles: Annotated[tuple[str, ...], Meta(description="roles without which the suite is not ready")] = (
        "ingress",
        "admin",
        "sql",
        "invoker",
    )
    metrics_timeout: Annotated[DurationMs, Meta(description="how long processes may take to hand in their metrics")] = 2_000
