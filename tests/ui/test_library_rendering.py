from urllib.parse import parse_qs, urlsplit

from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from data.blocks import Block, LoadWarning
from rag_app.results import DocumentContent, DocumentInfo
from ui import library_rendering as page

HOSTILE = (
    '"><script>alert(1)</script>.md',
    "' onclick='x.pdf",
    "a&b=c#d?.txt",
    "../../up",
    "\u202e.exe",
)


@given(st.text(min_size=1) | st.sampled_from(HOSTILE))
def test_a_name_stays_a_name_wherever_it_stands(name: str) -> None:
    soup = BeautifulSoup(page.documents([DocumentInfo(name, "failed", 1, 1, "", name)]), "lxml")
    assert not soup.select("script, img, [onclick]")
    [link] = soup.select("a")
    address = urlsplit(link["href"])
    assert (address.scheme, address.netloc, address.path) == ("", "", page.ORIGINALS)
    sent = name.encode("utf-8", "replace").decode()
    assert parse_qs(address.query, keep_blank_values=True) == {"source": [sent]}
    assert [sorted(tag.name for tag in soup.select("li *"))] == [
        ["a", "button", "button", "button", "details", "i", "input", "small", "span", "summary"]
    ]


def test_a_document_that_is_being_read_is_not_called_interrupted() -> None:
    left = [DocumentInfo("a.md", "interrupted", 0, 0, "", "")]
    for under_way, shown in ((True, "being read"), (False, "interrupted")):
        soup = BeautifulSoup(page.documents(left, under_way=under_way), "lxml")
        assert soup.select_one("li small").text == shown


def test_a_document_is_shown_with_its_tables_and_what_was_not_read() -> None:
    blocks = [Block("heading", "<b>"), Block("table", "| a | b |\n|---|---|\n| 1 | <i> |")]
    content = DocumentContent("<x>.md", blocks, [LoadWarning("a <u> was skipped", 3)])
    soup = BeautifulSoup(page.document(content), "lxml")
    assert soup.select_one("h3").text == "<x>.md"
    assert [cell.text for cell in soup.select("td")] == ["1", "<i>"]
    assert soup.select_one("li").text == "a <u> was skipped (page 3)"


def test_a_long_document_begins_with_a_summary_and_a_short_one_does_not() -> None:
    opening = "The <i>lift</i> pump rattles because its suction head is far too small."
    blocks = [Block("heading", "Signs", level=1), *[Block("paragraph", opening)] * 40]
    soup = BeautifulSoup(page.document(DocumentContent("x.md", blocks, [])), "lxml")
    assert soup.select_one(".summary p").text == f"{opening} "[:-1]
    assert "Signs" in soup.select_one(".summary").text
    assert not soup.select(".summary button")
    short = DocumentContent("x.md", blocks[:2], [])
    assert "summary" not in page.document(short)
    written = "A <b> pump [1]."
    shown = page.document(short, collection="c", has_model=True, model_summary=written)
    soup = BeautifulSoup(shown, "lxml")
    assert soup.select_one(".summary p").text == "A <b> pump [1]."
    assert soup.select_one("[data-act=summarise]")["data-collection"] == "c"
