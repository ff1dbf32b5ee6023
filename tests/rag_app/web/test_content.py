"""What was read of a document, and where on its pages a citation stands, over HTTP."""

import csv
import json
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import docx
import httpx
import openpyxl
import pptx
import pytest
from odf import text as odf_text
from odf.opendocument import OpenDocumentText

from rag_app.application import Application
from tests.data.loaders.pdfs import Sheets
from tests.rag_app.served import Served, serving

CODE = "The key of the north shed has the code 5512."


def make_files(folder: Path) -> list[str]:
    """A file of every kind that needs no OCR, each with the sentence in it."""
    folder.mkdir()
    sheets = Sheets()
    for line in ("The shed stands by the harbour and is locked at night.", CODE):
        sheets.add_page()
        sheets.lines(60, 100, line)
    sheets.save(folder, "a.pdf")
    word = docx.Document()
    word.add_paragraph(CODE)
    word.save(str(folder / "a.docx"))
    book = openpyxl.Workbook()
    book.active.append(["Place", "Note"])
    book.active.append(["shed", CODE])
    book.save(folder / "a.xlsx")
    deck = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[0]).shapes.title.text = CODE
    deck.save(str(folder / "a.pptx"))
    odt = OpenDocumentText()
    odt.text.addElement(odf_text.P(text=CODE))
    odt.save(str(folder / "a.odt"))
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "Shed", "a@example.org"
    mail.set_content(CODE)
    (folder / "a.eml").write_bytes(mail.as_bytes())
    with (folder / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["Place", "Note"], ["shed", CODE]])
    sources = {
        "a.html": f"<h1>Shed</h1><p>{CODE}</p>",
        "a.json": json.dumps({"shed": {"note": CODE}}),
        "a.jsonl": json.dumps({"note": CODE}) + "\n",
        "a.log": f"2024-05-06 12:00:01 INFO {CODE}\n2024-05-06 12:00:02 INFO end\n",
        "a.md": f"# Shed\n\n{CODE}\n",
        "a.py": f"# {CODE}\ncode = 5512\n",
        "a.rtf": rf"{{\rtf1\ansi {CODE}\par}}",
        "a.tsv": f"Place\tNote\nshed\t{CODE}\n",
        "a.txt": CODE,
        "a.xml": f"<s><note>{CODE}</note></s>",
        "a.yaml": f"note: {CODE}\n",
    }
    for name, source in sources.items():
        (folder / name).write_text(source)
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
async def names(application: Application, tmp_path: Path) -> list[str]:
    found = make_files(tmp_path / "in")
    report = await application.ingest("c", [tmp_path / "in"])
    assert (report.added, report.failures) == (len(found), [])
    return found


@pytest.fixture
async def client(names: list[str], application: Application) -> AsyncIterator[httpx.AsyncClient]:
    served: Served
    async with serving(application) as served:
        address = f"{served.address}/api/collections/c"
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            yield client


async def read(client: httpx.AsyncClient, **query: str | int) -> list[dict[str, object]]:
    answer = await client.get("/documents/content", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["blocks"])


async def test_what_was_read_is_shown_of_every_kind(
    client: httpx.AsyncClient, names: list[str]
) -> None:
    for name in names:
        text = "\n".join(str(block["text"]) for block in await read(client, source=name))
        assert CODE in text, name


async def test_one_page_is_shown_alone(client: httpx.AsyncClient) -> None:
    [first] = await read(client, source="a.pdf", page=1)
    assert (first["page"], str(first["text"]).split()[:2]) == (1, ["The", "shed"])
    beyond = await client.get("/documents/content", params={"source": "a.pdf", "page": 3})
    assert (beyond.status_code, "no page 3" in beyond.json()["error"]["message"]) == (404, True)
    missing = await client.get("/documents/content", params={"source": "b.pdf"})
    assert (missing.status_code, "b.pdf" in missing.json()["error"]["message"]) == (404, True)


async def test_a_citation_of_a_pdf_carries_its_place_on_the_page(client: httpx.AsyncClient) -> None:
    options = {"sources": ["a.pdf"]}
    asked = {"question": "What code has the key of the north shed?", "options": options}
    answer = await client.post("/ask", json=asked)
    events = [json.loads(line) for line in answer.text.splitlines()]
    [cited] = [one for one in events[-1]["data"]["citations"] if "5512" in one["text"]]
    assert (cited["source"], cited["page"]) == ("a.pdf", 2)
    [[page, left, top, right, bottom]] = cited["boxes"]
    assert page == 2
    assert left == pytest.approx(60, abs=3)
    assert 95 < top < bottom < 120
    assert left < right < 595
