"""The protocol of the seed era, spring 2024, which has no number: the model calls it version 0. Entries that carry their results."""

from perdure.codec.service_protocol.seed.dialect import SeedDialect

__all__ = ["SeedDialect"]
