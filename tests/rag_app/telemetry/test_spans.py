"""Spans as a collector of OpenTelemetry receives them from the real command."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.ui.running import RunningApp

DOCUMENT = b"The lamp of the pump flashes twice."
PARENT = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Span]]]:
    """Where spans can be sent by OTLP over HTTP, and those that came."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", spans
        finally:
            server.shutdown()


@pytest.mark.slow
def test_a_question_and_its_stages_are_spans_of_its_request(collector, tmp_path):
    address, spans = collector
    app = RunningApp(tmp_path / "storage", ["serve", "--port", "0"],
                     OTEL_EXPORTER_OTLP_ENDPOINT=address)  # fmt: skip
    try:
        with app.browser() as client:
            client.post(
                "/api/collections/default/documents?name=lamp.md", content=DOCUMENT
            ).raise_for_status()
            asked = {
                "model": "rag-app/default", "stream": True,
                "messages": [{"role": "user", "content": "How often does the lamp flash?"}],
            }  # fmt: skip
            parent = {"traceparent": f"00-{PARENT}-b7ad6b7169203331-01"}
            client.post("/v1/chat/completions", json=asked, headers=parent).raise_for_status()
    finally:
        app.stop()  # which sends what has not been sent
    mine = {span.name: span for span in spans if span.trace_id.hex() == PARENT}
    request, question = mine["POST /v1/chat/completions"], mine["rag_app ask"]
    stages = [span for span in mine.values() if span.parent_span_id == question.span_id]
    assert {"condense", "rewrite", "retrieve", "rerank", "read"} == {one.name for one in stages}
    assert question.parent_span_id == request.span_id
    assert all(one.start_time_unix_nano >= question.start_time_unix_nano for one in stages)
    assert all(one.end_time_unix_nano <= question.end_time_unix_nano + 10**6 for one in stages)
    kinds = {a.key: a.value.string_value for a in mine["read"].attributes}
    assert kinds["rag_app.kind"] == "quote"
    told = "\n".join(map(str, spans))
    assert "flash" not in told
    assert "key=" not in told  # of the printed page, which makes a browser known
