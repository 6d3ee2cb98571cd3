"""What every process has: configuration, logs, metrics, heartbeats, an HTTP server, an orderly stop."""
