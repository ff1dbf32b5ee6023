import threading

import pytest
from fpdf import FPDF

from data.errors import UnreadableFile
from rag_app.collections.context import PassageGone
from rag_app.errors import ApplicationError
from rag_app.service import QueryOptions


async def test_the_page_of_a_passage_is_drawn_from_the_original(application, tmp_path, settings):
    document = FPDF()
    document.add_page()
    document.set_font("Helvetica", size=12)
    document.multi_cell(0, 10, "The gate is opened by two people. Nobody works alone.")
    folder = tmp_path / "in"
    folder.mkdir()
    document.output(str(folder / "gate.pdf"))
    (folder / "notes.md").write_text("# Notes\n\nThe kettle is green.")
    await application.ingest("c", [folder])
    hits = (await application.search("c", "gate", QueryOptions(top_k=9))).hits
    passages = {hit.source: hit.passage_id for hit in hits}

    quotes = ["Nobody works alone."]
    picture = await application.page_picture("c", passages["gate.pdf"], quotes)
    assert (picture.page, picture.exact, len(picture.boxes)) == (1, True, 1)
    assert await application.page_picture("c", passages["gate.pdf"], quotes) is picture  # kept
    whole = await application.page_picture("c", passages["gate.pdf"])
    assert not whole.exact
    assert whole.boxes
    drawing = [one for one in threading.enumerate() if one.name.startswith("draw")]
    assert 0 < len(drawing) <= 2  # who waits for a page keeps nobody else waiting
    with pytest.raises(ApplicationError, match="no pages"):
        await application.page_picture("c", passages["notes.md"])
    with pytest.raises(PassageGone):
        await application.page_picture("c", "../../etc/passwd")

    for original in (settings.storage.path / "files" / "c").glob("*.pdf"):
        original.unlink()
    with pytest.raises(UnreadableFile, match=r"gate\.pdf"):
        await application.page_picture("c", passages["gate.pdf"], ["two people"])
    await application.close()
    assert not any(one.is_alive() for one in drawing)
