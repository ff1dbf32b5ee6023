import asyncio
import threading
from pathlib import Path

import pytest
from fpdf import FPDF

from data.errors import UnreadableFile
from data.page_picture import PagePlace
from data.parsing import Parser
from rag_app.collections.context import PassageGone
from rag_app.collections.pictures import Page, PagePictures
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


def a_page(path: Path) -> Page:
    document = FPDF()
    document.add_page()
    document.set_font("Helvetica", size=12)
    document.cell(text="The gate is open.")
    document.output(str(path))
    return Page(path, path.name, PagePlace(1))


async def test_as_many_pictures_are_kept_as_fit_into_their_bytes(tmp_path):
    pages = [a_page(tmp_path / f"{number}.pdf") for number in range(3)]
    roomy = PagePictures(Parser)
    first = await roomy.draw(pages[0])
    roomy.close()
    pictures = PagePictures(Parser, most_bytes=2 * len(first.image) + 10)
    drawn = [await pictures.draw(page) for page in pages]
    assert await pictures.draw(pages[2]) is drawn[2]
    assert await pictures.draw(pages[1]) is drawn[1]
    assert await pictures.draw(pages[0]) is not drawn[0]
    pictures.close()


async def test_a_collection_can_be_deleted_while_somebody_waits_for_a_page(
    application, tmp_path, settings, monkeypatch
):
    a_page(tmp_path / "gate.pdf")
    await application.ingest("c", [tmp_path / "gate.pdf"])
    [hit] = (await application.search("c", "gate")).hits
    drawing, go_on = threading.Event(), threading.Event()

    def slow(self, path, place, source):
        drawing.set()
        go_on.wait(10)
        raise UnreadableFile(source, cause="it is gone")

    monkeypatch.setattr(Parser, "draw", slow)
    waiting = asyncio.create_task(application.page_picture("c", hit.passage_id))
    try:
        assert await asyncio.to_thread(drawing.wait, 10)
        await asyncio.wait_for(application.drop_collection("c"), 10)
    finally:
        go_on.set()
    with pytest.raises(UnreadableFile):
        await waiting
