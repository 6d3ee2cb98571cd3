"""Settings of the ingress process."""

from typing import Annotated

from msgspec import Meta

from perdure.base.durations import SizeBytes
from perdure.base.limits import INVOCATIONS_WAITING_MAX, MESSAGE_BYTES_MAX
from perdure.process.config import PublicConfig


class IngressConfig(PublicConfig, frozen=True, kw_only=True):
    """What the ingress needs to know beside the common settings."""

    bind: Annotated[str, Meta(description="address to listen on")] = "0.0.0.0"  # noqa: S104 - callers come from anywhere
    port: Annotated[int, Meta(description="port to listen on; 0 takes any free one", ge=0, le=65535)] = 8080
    request_size_limit: Annotated[SizeBytes, Meta(description="largest body of a request")] = MESSAGE_BYTES_MAX
    concurrent_requests_limit: Annotated[
        int, Meta(description="requests in flight, waiting ones included, beyond which callers get 429", ge=1)
    ] = INVOCATIONS_WAITING_MAX
