"""What an application counts, for Prometheus; no text of questions or documents is in it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rag_app.results import IngestReport, Trace

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Observer:
    """Sees every question and every change of an application.

    Attributes:
        answering: questions that are being answered now.
    """

    def __init__(self) -> None:
        self.answering = 0

    @contextmanager
    def question(self, operation: str) -> Iterator[list[Trace]]:
        """Around a question; its traces are put into the list, and the last one counts."""
        traces: list[Trace] = []
        self.answering += 1
        start, outcome = time.perf_counter(), "left"  # by its client, or as the process ends
        try:
            yield traces
            outcome = "answered"
        except Exception:  # whatever it is, it is counted and goes on
            outcome = "failed"
            raise
        finally:
            self.answering -= 1
            seconds = time.perf_counter() - start
            self.asked(operation, outcome, seconds, traces[-1] if traces else None)

    def asked(self, operation: str, outcome: str, seconds: float, trace: Trace | None) -> None:
        """A question has ended: ``answered``, ``failed`` or ``left`` by its client."""

    @contextmanager
    def change(self) -> Iterator[None]:
        """Around a change of a collection, waiting for others included."""
        yield

    def ingested(self, report: IngestReport) -> None:
        """Documents have been read."""


class Metrics(Observer):
    """An observer that exports what it sees.

    Attributes:
        registry: of `prometheus_client`, which is imported for whoever needs it alone.
    """

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        from rag_app.telemetry.spans import record

        super().__init__()
        self._record = record
        self.registry = registry = CollectorRegistry()
        self._seconds = Histogram(
            "rag_app_question_seconds", "From a question to the end of its answer.",
            ["operation", "outcome"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._stages = Histogram(
            "rag_app_stage_seconds", "A stage of a question.",
            ["stage", "kind"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._fallbacks = Counter(
            "rag_app_fallbacks", "Stages that failed and were left out.", ["stage"],
            registry=registry,
        )  # fmt: skip
        self._tokens = Counter(
            "rag_app_tokens", "Tokens of questions, prompts and answers.", ["role"],
            registry=registry,
        )  # fmt: skip
        self._documents = Counter(
            "rag_app_documents", "Documents that were ingested.", ["outcome"], registry=registry
        )
        self._passages = Counter(
            "rag_app_passages_written", "Passages that were written.", registry=registry
        )
        self._changes = Gauge(
            "rag_app_changes_under_way", "Changes of collections at work or waiting.",
            registry=registry,
        )  # fmt: skip
        answering = Gauge(
            "rag_app_questions_under_way", "Questions that are being answered.", registry=registry
        )
        answering.set_function(lambda: self.answering)

    def asked(self, operation: str, outcome: str, seconds: float, trace: Trace | None) -> None:
        """See `Observer.asked`."""
        self._record(operation, outcome, seconds, trace)
        self._seconds.labels(operation, outcome).observe(seconds)
        for stage in trace.stages if trace else ():
            self._stages.labels(stage["stage"], stage["kind"]).observe(stage["ms"] / 1000)
            if stage.get("fallback"):
                self._fallbacks.labels(stage["stage"]).inc()
        for role, tokens in (trace.tokens if trace else {}).items():
            self._tokens.labels(role).inc(tokens)

    @contextmanager
    def change(self) -> Iterator[None]:
        """See `Observer.change`."""
        with self._changes.track_inprogress():
            yield

    def ingested(self, report: IngestReport) -> None:
        """See `Observer.ingested`."""
        counts = {
            "added": report.added,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "removed": len(report.removed),
            "failed": len(report.failures),
        }
        for outcome, number in counts.items():
            self._documents.labels(outcome).inc(number)
        self._passages.inc(report.passages)
