"""A receiver of OTLP over HTTP: decodes what it gets by the official messages, and does what collectors do when ill.

Owns the port and what came. What a test expects of it is the test's business.
"""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def attributes(pairs: Any) -> dict[str, Any]:
    """Of a span, a point or a resource."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class OtlpReceiver:
    """Use `url` as endpoint."""

    def __init__(self, port: int = 0) -> None:
        self.headers: list[dict[str, str]] = []
        self.resources: list[dict[str, Any]] = []
        self.spans: list[Any] = []
        self.exports: list[list[Any]] = []
        """Of metrics, one entry per export."""
        self.bodies: list[bytes] = []
        """As they came, unpacked."""
        self.status = 200
        self.delay_s = 0.0
        self.asked = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spans_of(self, trace_id: str) -> list[Any]:
        """Spans of a trace in the order of their start."""
        found = [span for span in self.spans if span.trace_id.hex() == trace_id]
        return sorted(found, key=lambda span: (span.start_time_unix_nano, -span.end_time_unix_nano))

    def metrics(self) -> dict[str, Any]:
        """The last export, by name."""
        return {metric.name: metric for metric in self.exports[-1]} if self.exports else {}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        data = request.rfile.read(int(request.headers["content-length"]))
        if self.delay_s:
            time.sleep(self.delay_s)
        if self.status == 200:
            body = gzip.decompress(data) if request.headers.get("content-encoding") == "gzip" else data
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            self.bodies.append(body)
            self._decode(request.path, body)
        try:
            request.send_response(self.status)
            request.send_header("content-type", "application/x-protobuf")
            request.send_header("content-length", "0")
            request.end_headers()
        except OSError:  # whoever asked has given up
            pass

    def _decode(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for whole in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(attributes(whole.resource.attributes))
                for scope in whole.scope_spans:
                    self.spans += scope.spans
        elif path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.resources.append(attributes(resource.resource.attributes))
                self.exports.append([metric for scope in resource.scope_metrics for metric in scope.metrics])
        else:
            raise AssertionError(path)


@contextmanager
def otlp_receiver(port: int = 0) -> Iterator[OtlpReceiver]:
    """One for the length of a block."""
    made = OtlpReceiver(port)
    try:
        yield made
    finally:
        made.close()
