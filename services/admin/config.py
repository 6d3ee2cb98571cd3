"""Settings of the admin process."""

from typing import Annotated

import msgspec

from perdure.process.config import PublicConfig


class AdminConfig(PublicConfig, frozen=True, kw_only=True):
    """What the admin process needs to know besides what all do."""

    bind: Annotated[str, msgspec.Meta(description="address to listen on")] = "0.0.0.0"  # noqa: S104  # as clients of one's network expect
    port: Annotated[int, msgspec.Meta(description="port to listen on; 0: any free one", ge=0, le=65_535)] = 9070
    advertised_ingress: Annotated[
        str, msgspec.Meta(description="URL of the ingress that clients are told; empty: where an ingress listens")
    ] = ""
    disable_web_ui: Annotated[bool, msgspec.Meta(description="whether to serve no web page")] = False
