"""A collector of traces on the official protocol, over gRPC and HTTP, that keeps what it receives."""

import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.e2e.processes import eventually

TOKEN_HEADER: Final = "x-collector-token"


class Received(NamedTuple):
    """A span, and which process told of it."""

    name: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str
    trace_state: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, str | int]
    has_failed: bool
    start_ns: int
    end_ns: int


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Listens on two free ports until it is closed."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.tokens: set[tuple[str, str | None]] = set()
        """Protocol and token of every message of a server under test."""
        self._grpc = grpc.server(futures.ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._grpc)
        self._grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._grpc.start()
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def url(self, protocol: str) -> str:
        """Where a server that speaks `grpc` or `http` sends to."""
        return f"http://127.0.0.1:{self._grpc_port if protocol == 'grpc' else self._http.server_address[1]}"

    def close(self) -> None:
        self._grpc.stop(0).wait()
        self._http.shutdown()
        self._http.server_close()

    def Export(self, request: Any, context: Any) -> Any:
        self.take("grpc", dict(context.invocation_metadata()).get(TOKEN_HEADER), request)
        return trace_service_pb2.ExportTraceServiceResponse()

    def take(self, protocol: str, token: str | None, request: Any) -> None:
        """Keep the spans of a message."""
        for resource in request.resource_spans:
            service = next(each.value.string_value for each in resource.resource.attributes if each.key == "service.name")
            if service.startswith("perdure-"):
                self.tokens.add((protocol, token))
            self.spans += [_received(service, span) for scope in resource.scope_spans for span in scope.spans]

    def of(self, trace_id: str) -> list[Received]:
        """Return the spans of a trace so far."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def wait_for(self, trace_id: str, *names: str) -> list[Received]:
        """Return the spans of a trace once there is one of each of `names`."""

        def spans_if_whole() -> list[Received]:
            spans = self.of(trace_id)
            return spans if set(names) <= {span.name for span in spans} else []

        return eventually(spans_if_whole, f"spans {names} of trace {trace_id}")


def _received(service: str, span: Span) -> Received:
    return Received(
        name=span.name,
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        trace_state=span.trace_state,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        attributes={each.key: each.value.string_value or each.value.int_value for each in span.attributes},
        has_failed=span.status.code == Status.STATUS_CODE_ERROR,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
    )


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces", self.path
            collector.take("http", self.headers[TOKEN_HEADER], trace_service_pb2.ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()

        def log_request(self, *_: Any) -> None:
            """Print nothing."""

    return Handler
