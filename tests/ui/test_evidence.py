"""What the evidence panel does at its edges; `test_browser.py` uses it as people do."""

import asyncio
from pathlib import Path

import gradio as gr

from rag_app.assembly.application import open_application
from rag_app.service import QueryOptions
from rag_app.settings import load_settings
from ui.answering import answer
from ui.evidence import EvidencePanel
from ui.session import Session


def clicked(n: int) -> gr.EventData:
    return gr.EventData(None, {"act": "passage", "turn": "1", "n": str(n)})


async def test_of_two_citations_that_are_clicked_quickly_the_second_is_shown(
    tmp_path: Path,
) -> None:
    service, _ = open_application(
        load_settings(overrides={"storage": {"path": tmp_path / "storage"}})
    )
    for name in ("a", "b"):
        (tmp_path / f"{name}.md").write_text(f"The ferry {name} leaves at seven.")
    await service.ingest("c", [tmp_path / "a.md", tmp_path / "b.md"])
    session = Session()
    options = QueryOptions(reader="quote", sources=("a.md", "b.md"))
    async for _ in answer(service, session.thread, "When does the ferry leave?", "c", options):
        pass
    with gr.Blocks():
        panel = EvidencePanel(service)
    first, second = await asyncio.gather(*(panel._act(clicked(n), session) for n in (1, 2)))
    assert panel.passage not in first
    assert "The ferry" in second[panel.passage]
    await service.close()
