"""Perdure: a durable-execution server that Restate clients use unchanged."""

__version__ = "0.1.0"
