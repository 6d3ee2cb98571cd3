"""The bus over core NATS."""

from perdure.bus.nats.bus import NatsBus, connect

__all__ = ["NatsBus", "connect"]
