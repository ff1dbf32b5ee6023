"""deploy/grafana: every metric and label of the dashboard is one that the application exports."""

import json
import re
from collections.abc import Iterator

import prometheus_client
import pytest

from rag_app.results import IngestReport, Trace
from rag_app.telemetry.metrics import Metrics
from tests.deployment.compose import ROOT

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "rag-app.json").read_text("utf-8"))
OF_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus itself gives."""


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (one["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query")


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Names of the samples that `/metrics` tells, and their labels."""
    metrics = Metrics()
    with metrics.question("ask") as traces:
        traces.append(Trace(tokens={"prompt": 1}))
        traces[0].stage("retrieve", "hybrid", 1.0, fallback="no encoder")
    metrics.ingested(IngestReport())
    found: dict[str, set[str]] = {}
    for registry in (metrics.registry, prometheus_client.REGISTRY):
        for family in registry.collect():
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("expression", list(expressions()))
def test_what_the_dashboard_asks_for_is_exported(expression, exported):
    names = set(re.findall(r"(?:rag_app|process)_\w+", expression))
    assert names
    assert names <= exported.keys()
    labels = set(re.findall(r"(\w+)=~?\"", expression))
    for by in re.findall(r"by \(([^)]*)\)", expression):
        labels.update(by.split(", "))
    known = OF_PROMETHEUS.union(*(exported[name] for name in names))
    assert labels <= known


def test_every_metric_of_the_application_is_on_the_dashboard(exported):
    shown = " ".join(expressions())
    families = {
        re.sub("_(bucket|count|sum|created)$", "", name)
        for name in exported
        if name.startswith("rag_app_")
    }
    assert {name.removesuffix("_total") for name in families} == {
        re.sub("_(bucket|count|sum|total)$", "", name) for name in re.findall(r"rag_app_\w+", shown)
    }


def test_every_panel_has_a_place_of_its_own():
    places = [
        (panel["gridPos"]["x"] // 8, panel["gridPos"]["y"] // 8) for panel in DASHBOARD["panels"]
    ]
    assert len(places) == len(set(places)) == len({panel["id"] for panel in DASHBOARD["panels"]})
