"""Remote procedure calls over HTTP as ASGI carries it: gRPC."""
