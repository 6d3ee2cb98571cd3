"""The ingress process: HTTP in, requests to partition owners out. Source: shared/spec/ingress.md."""
