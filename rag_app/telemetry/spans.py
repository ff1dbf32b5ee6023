"""Questions and their stages as OpenTelemetry spans, where `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

Requests of the API are spans of FastAPI's own, which a question's belong to. A span says what took
how long, and how many tokens; no text of questions or documents, and no address that holds a key.
"""

import time
from typing import Final

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace as tracing

from rag_app.results import Trace

TELEMETRY: Final[TelemetryConfig] = {
    "auto_configure": True,  # does something where an endpoint is named in the environment
    "operation_spans": False,
    "metrics": False,  # Prometheus asks for ours
    "logs": False,  # texts of exceptions may quote documents
    "exclude": lambda scope: not scope["path"].startswith(("/api/", "/v1/")),
}
_COUNTED: Final = {
    "calls": "rag_app.calls",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
}
"""Details of a stage that are told, by the names that they have in spans (semantic conventions)."""


def record(operation: str, outcome: str, seconds: float, trace: Trace | None) -> None:
    """A question that has just ended, and its stages one after the other."""
    tracer = tracing.get_tracer("rag_app")
    end = time.time_ns()
    start = end - int(seconds * 1e9)
    outcomes = {"rag_app.outcome": outcome}
    whole = tracer.start_span(f"rag_app {operation}", start_time=start, attributes=outcomes)
    inside = tracing.set_span_in_context(whole)
    for stage in trace.stages if trace else ():
        counted = {name: stage[key] for key, name in _COUNTED.items() if key in stage}
        attributes = {"rag_app.kind": stage["kind"], **counted}
        span = tracer.start_span(stage["stage"], inside, start_time=start, attributes=attributes)
        start += int(stage["ms"] * 1e6)
        span.end(start)
    whole.end(end)
