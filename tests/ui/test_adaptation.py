"""What the panel of adaptations does; `test_evaluation.py` uses it as people do."""

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from rag_app.settings import load_settings
from rag_app.web.access import Access
from ui import adaptation
from ui.adaptation import AdaptationPanel
from ui.evaluation_runs import EvaluationRuns

SCRIPT = Path(__file__).with_name("scripted_evaluation.py")
COLLECTION = "Island & sea"


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[EvaluationRuns]:
    settings = load_settings(overrides={"storage": {"path": tmp_path}})
    runs = EvaluationRuns(tmp_path / "evaluations", settings, (sys.executable, str(SCRIPT)))
    yield runs
    runs.stop(runs.running)


@pytest.fixture
def access() -> Access:
    return Access()


@pytest.fixture
def request_(access: Access) -> gr.Request:
    cookie = f"{access.cookie}={access.new_visitor()}".encode()
    return gr.Request(Request({"type": "http", "headers": [(b"cookie", cookie)]}))


def panel_of(runs: EvaluationRuns, access: Access) -> AdaptationPanel:
    with gr.Blocks():
        panel = AdaptationPanel(runs, access)
        panel.wire(gr.Dropdown(["Island & sea", "other"]))
    return panel


@pytest.fixture
async def panel(
    runs: EvaluationRuns, access: Access, monkeypatch: pytest.MonkeyPatch
) -> AdaptationPanel:
    monkeypatch.setattr(adaptation, "find_spec", lambda _: True)
    return panel_of(runs, access)


def click(act: str, run: str) -> gr.EventData:
    return gr.EventData(None, {"act": act, "run": run})


async def ended(panel: AdaptationPanel, state: str) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        shown = await panel._look(COLLECTION)
        if f'class="run {state}"' in shown[panel.state]:
            return str(shown[panel.state])
        await asyncio.sleep(0.01)
    raise AssertionError(shown)


def is_active(update: Any) -> bool:
    return bool(update["active"])


async def test_an_adaptation_is_begun_followed_and_its_report_is_linked(
    panel: AdaptationPanel, runs: EvaluationRuns, request_: gr.Request
) -> None:
    assert (await panel._look(COLLECTION))[panel.state] == ""
    begun = await panel._start(COLLECTION, request_)
    assert is_active(begun[panel.watch])
    assert begun[panel.go]["interactive"] is False
    [run] = runs.overview()
    assert (run.kind, run.dataset) == ("adapt", COLLECTION)
    html = await ended(panel, "done")
    assert f"/evaluations/{run.name}/report.html" in html
    assert "nDCG@10" in html
    assert "Island &amp; sea" in html
    after = await panel._look(COLLECTION)
    assert (is_active(after[panel.watch]), after[panel.go]["interactive"]) == (False, True)
    assert (await panel._look("other"))[panel.state] == ""


async def test_one_that_is_under_way_is_stopped_and_deleted(
    panel: AdaptationPanel, runs: EvaluationRuns, request_: gr.Request
) -> None:
    name = runs.start("adapt", "slow", {})
    assert 'data-act="stop"' in (await panel._look("slow"))[panel.state]
    busy = await panel._start(COLLECTION, request_)
    assert "under way" in busy[panel.status]
    stopped = await panel._act("slow", click("stop", name), request_)
    assert 'data-act="resume"' in stopped[panel.state]
    gone = await panel._act("slow", click("remove", name), request_)
    assert gone[panel.state] == ""
    assert runs.overview() == []


async def test_who_may_only_look_begins_and_ends_nothing(
    panel: AdaptationPanel, runs: EvaluationRuns
) -> None:
    nobody = gr.Request(Request({"type": "http", "headers": [], "query_string": b""}))
    assert "not change anything" in (await panel._start(COLLECTION, nobody))[panel.status]
    assert runs.overview() == []


async def test_without_the_extra_the_button_is_off_and_says_why(
    runs: EvaluationRuns, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptation, "find_spec", lambda name: None if name == "peft" else True)
    panel = panel_of(runs, access)
    assert panel.go.interactive is False
    assert "rag-app[train]" in adaptation._LACKING


@pytest.mark.parametrize("collection", ["samples", "Île d’Yeu", "日本", "a" * 90])
def test_the_encoders_name_is_one_that_the_command_takes(collection: str, tmp_path: Path) -> None:
    from rag_app.assembly.trained import folder

    settings = load_settings(overrides={"storage": {"path": tmp_path}})
    assert folder(settings, adaptation._name(collection)).parent == tmp_path / "encoders"
