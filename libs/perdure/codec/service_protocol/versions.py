"""Versions of the service protocol. Source: shared/spec/service-protocol.md, sections 2.6 and 8."""

from typing import Final

SEED_VERSION: Final = 0
"""What stands here for the protocol of the seed era, which has no number in this sequence."""
VERSION_MIN: Final = 1
COMMANDS_VERSION_MIN: Final = 4
"""From here on a journal is commands and notifications; before, entries with results."""
VERSION_MAX: Final = 7
SERVER_VERSION_DEFAULT: Final = 6
"""The highest version that new invocations are pinned to; 7 is opt-in, as it cannot be undone."""


def content_type_of(version: int) -> str:
    """Return the media type of both directions of an attempt."""
    return f"application/vnd.restate.invocation.v{version}"


def negotiate(deployment_min: int, deployment_max: int, *, server_max: int = SERVER_VERSION_DEFAULT) -> int | None:
    """Return the version of a first attempt, or None where the deployment's range and ours do not meet.

    A deployment of the seed era speaks nothing else.
    """
    if deployment_max == SEED_VERSION:
        return SEED_VERSION
    assert VERSION_MIN <= server_max <= VERSION_MAX
    version = min(deployment_max, server_max)
    return version if version >= max(deployment_min, VERSION_MIN) else None
