"""Observes the whole suite: health and metrics of every process."""
