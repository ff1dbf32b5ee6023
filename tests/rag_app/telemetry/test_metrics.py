import asyncio
import re
from contextlib import aclosing

import pytest
from prometheus_client import CollectorRegistry

from rag_app.results import Answer, Trace
from rag_app.service import QueryOptions
from rag_app.telemetry.metrics import Metrics, Observer
from retrieval.index.errors import UnknownCollection
from tests.rag_app.support import write


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(f"rag_app_{name}", labels) or 0.0


def test_a_question_is_counted_by_how_it_ended_and_its_stages_are_timed(metrics):
    trace = Trace(tokens={"prompt": 30})
    trace.stage("retrieve", "hybrid", 40.0, fallback="BM25 alone searched")
    with metrics.question("ask") as traces:
        assert value(metrics.registry, "questions_under_way") == 1
        traces.append(trace)
    stage = {"stage": "retrieve", "kind": "hybrid"}
    assert value(metrics.registry, "stage_seconds_sum", **stage) == pytest.approx(0.04)
    assert value(metrics.registry, "fallbacks_total", stage="retrieve") == 1
    assert value(metrics.registry, "tokens_total", role="prompt") == 30
    assert value(metrics.registry, "questions_under_way") == 0
    ended = {"operation": "ask", "outcome": "answered"}
    assert value(metrics.registry, "question_seconds_count", **ended) == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(RuntimeError, "failed"), (asyncio.CancelledError, "left"), (GeneratorExit, "left")],
)
def test_a_question_without_an_answer_is_counted_too(metrics, error, outcome):
    with pytest.raises(error), metrics.question("search"):
        raise error
    ended = {"operation": "search", "outcome": outcome}
    assert value(metrics.registry, "question_seconds_count", **ended) == 1
    assert metrics.answering == 0


async def test_an_application_tells_what_it_does(application, metrics, tmp_path):
    application.observer = metrics
    folder = write(tmp_path / "in", {"lamp.md": "The lamp flashes twice.", "bad.pdf": "no pdf"})
    await application.ingest("default", [folder])
    await application.search("default", "How often does the lamp flash?")
    async with aclosing(application.ask("default", "How often does the lamp flash?")) as events:
        answers = [event async for event in events if isinstance(event, Answer)]
    assert len(answers) == 1
    with pytest.raises(UnknownCollection):
        await application.search("others", "What?", options=QueryOptions())
    counted = metrics.registry
    assert value(counted, "documents_total", outcome="added") == 1
    assert value(counted, "documents_total", outcome="failed") == 1
    assert value(counted, "passages_written_total") == 1
    outcomes = ("added", "updated", "unchanged", "failed")
    before = sum(value(counted, "documents_total", outcome=one) for one in outcomes)
    await application.reingest("default")
    after = sum(value(counted, "documents_total", outcome=one) for one in outcomes)
    assert after > before
    for stage in ("condense", "rewrite", "retrieve", "rerank", "read"):
        (kind,) = {
            sample.labels["kind"]
            for family in counted.collect()
            for sample in family.samples
            if sample.name == "rag_app_stage_seconds_count" and sample.labels["stage"] == stage
        }
        passed = value(counted, "stage_seconds_count", stage=stage, kind=kind)
        assert passed == (1 if stage == "read" else 2)
    failed = {"operation": "search", "outcome": "failed"}
    assert value(counted, "question_seconds_count", **failed) == 1


async def test_nothing_is_left_under_way_when_a_client_leaves(application, tmp_path):
    observer = application.observer = Observer()
    await application.ingest("default", [write(tmp_path / "in", {"a.md": "Mice eat cheese."})])
    async with aclosing(application.ask("default", "Who eats cheese?")) as events:
        async for _ in events:
            assert observer.answering == 1
            break
    assert observer.answering == 0


def test_no_text_can_come_into_a_label(metrics):
    labels = {
        name
        for collector in metrics.registry._collector_to_names
        for name in getattr(collector, "_labelnames", ())
    }
    assert labels == {"operation", "outcome", "stage", "kind", "role"}
    assert not any(re.search("question|document|source|user", name) for name in labels)
