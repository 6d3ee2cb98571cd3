"""Endpoints of the seed era: protobuf services of spring 2024. Source: shared/spec/seed-era.md, section 2.

The modules are imported with the first such endpoint, for protobuf is heavy.
"""

from typing import Final

MEDIA_TYPE: Final = "application/proto"
"""Of a discovery request and its response."""
