from dataclasses import replace
from html.parser import HTMLParser

from bs4 import BeautifulSoup
from hypothesis import example, given
from hypothesis import strategies as st

from data.page_picture import PagePicture
from generation.citations import Citation, Quote
from rag_app.results import Failure, Hit, IngestReport, PassageContext, Progress, Trace
from ui import rendering
from ui.session import Thread, Turn

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "![x](http://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "<http://evil.example/>",
    "[a]: javascript:alert(1)\n\n[a]",
    "```<script>\nx\n```",
    "`<img src=x>`",
    "| <b>a</b> | b |\n|---|:-:|\n| [1] | <i> |",
    "&lt;script&gt;",
    "${alert(1)} {{alert(1)}} @children",
    "\\[1\\] [1] [2] [0] [٣]",
)
TAGS = {
    "p", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "br", "table",
    "thead", "tbody", "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6", "button",
    "article", "div", "footer", "section", "header", "span", "mark", "b", "small", "dl", "dt",
    "dd", "bdi", "i", "details", "summary", "nav", "svg", "path", "input",
    "math", "mrow", "mi", "mn", "mo", "mspace", "mtext", "msub", "msup", "msubsup", "mfrac",
    "mstyle",
}  # fmt: skip
ATTRIBUTES = {
    "class", "dir", "id", "type", "start", "style", "role", "tabindex", "title", "aria-label",
    "aria-hidden", "lang", "aria-live",
    "data-act", "data-turn", "data-n", "data-source", "data-text", "data-drawer", "data-thoughts",
    "data-view", "data-opens",
    "data-rating", "aria-pressed", "viewbox", "d", "maxlength", "placeholder", "value",
    "display", "stretchy", "mathvariant",
}  # fmt: skip

words = st.text() | st.sampled_from(HOSTILE) | st.lists(st.sampled_from(HOSTILE)).map("\n".join)


class _Audit(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.styles: list[str] = []
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.styles += [value or "" for name, value in attrs if name == "style"]

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_decl(self, decl: str) -> None:
        self.comments.append(decl)


def harmless(html: str) -> bool:
    audit = _Audit()
    audit.feed(html)
    audit.close()
    assert audit.tags <= TAGS, audit.tags - TAGS
    assert audit.attributes <= ATTRIBUTES, audit.attributes - ATTRIBUTES
    assert not audit.comments
    assert all("url" not in style and "expression" not in style for style in audit.styles)
    return True


def a_hit(text: str, source: str = "s") -> Hit:
    return Hit(
        "id", source, 3, 0, 9, text, 1.0, {"dense": 2, "bm25": 1, "fused": 1},
        {"dense": 0.5, "bm25": 7.25, "fused": 0.875}, (text,), None,
    )  # fmt: skip


def a_turn(text: str, state: str = "done") -> Turn:
    trace = Trace()
    trace.stage(text, text, 12.0, steps={text: 3.0})
    trace.models["reader"] = text
    citation = Citation(1, "id", text, 3, 0, 9, text)
    return Turn(
        1, text, text, text, state, [a_hit(text, text)], [citation], trace, text, text,  # type: ignore[arg-type]
        abstained=True, asked="2026-01-01", rating="up", comment=text,
    )  # fmt: skip


@given(words)
@example("<script>alert(1)</script>")
def test_an_answer_holds_no_html_link_or_image_of_its_own(text: str) -> None:
    assert harmless(rendering.markdown(text, 1, {1, 2}))


@given(words, st.sampled_from(["running", "done", "stopped", "failed"]))
def test_whatever_a_turn_says_is_escaped(text: str, state: str) -> None:
    turn = a_turn(text, state)
    for html in (rendering.turn(turn), rendering.sources(turn), rendering.trace(turn)):
        assert harmless(html)


@given(words)
def test_whatever_a_document_says_is_escaped(text: str) -> None:
    context = PassageContext(text, 1, (text,), text, text, text)
    report = IngestReport(failures=[Failure(text, text)])
    for html in (
        rendering.passage(context, 1),
        rendering.report(report),
        rendering.progress(Progress(1, 2, 3, 0.5, 1.0, text)),
        rendering.problem(text),
        rendering.welcome([text], False),
        rendering.header(text),
    ):
        assert harmless(html)


def test_a_passage_is_marked_between_its_neighbours() -> None:
    html = rendering.passage(PassageContext("s", 2, (), "Before. ", "It leaks.", " After."), 4)
    page = BeautifulSoup(html, "html.parser").select_one(".page")
    assert page is not None
    assert page.get_text() == "Before. It leaks. After."
    mark = page.select_one("mark")
    assert mark is not None
    assert mark.get_text() == "It leaks."


def test_what_is_quoted_is_marked_and_nothing_else() -> None:
    text = "The mill is old. It leaks."
    cited = Citation(1, "id", "s", 2, 0, 26, text, "", "page 2", (), (Quote("It leaks.", 17, 26),))
    html = rendering.passage(PassageContext("s", 2, (), "Before. ", text, ""), 1, cited)
    marked = BeautifulSoup(html, "html.parser").select("mark")
    assert [mark.get_text() for mark in marked] == ["It leaks."]


def test_citations_become_buttons_that_name_turn_and_number() -> None:
    html = rendering.markdown("It floats [2][1]. See `[1]` and [7].", 5, {1, 2})
    buttons = BeautifulSoup(html, "html.parser").select("button.cite")
    assert [(b["data-turn"], b["data-n"], b.get_text()) for b in buttons] == [
        ("5", "2", "2"),
        ("5", "1", "1"),
    ]
    assert "<code>[1]</code>" in html
    assert "[7]" in html


def test_markdown_of_an_answer_is_kept() -> None:
    html = rendering.markdown(
        "**Bold** and\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |", 1, ()
    )
    soup = BeautifulSoup(html, "html.parser")
    assert [e.get_text() for e in soup.select("strong, li, td")] == ["Bold", "one", "two", "1", "2"]


def test_sources_show_place_and_score_in_each_ranking() -> None:
    soup = BeautifulSoup(rendering.sources(a_turn("water")), "html.parser")
    ranks = [" ".join(div.get_text(" ").split()) for div in soup.select(".ranks div")]
    assert ranks == ["dense #2 0.500", "BM25 #1 7.250", "fused #1 0.875"]
    assert soup.select_one(".hit.cited .badge") is not None
    assert "page 3" in soup.get_text()


def test_sources_show_rows_of_tables_in_words() -> None:
    table = "Fares\n\n| Ticket | Day |\n| --- | --- |\n| Adult | 4 |"
    soup = BeautifulSoup(rendering.sources(a_turn(table)), "html.parser")
    (snippet,) = soup.select(".snippet")
    assert snippet.get_text() == "Fares Ticket: Adult; Day: 4"


def test_timings_show_each_stage_and_mark_those_that_are_off() -> None:
    trace = Trace()
    trace.stage("rewrite", "none", 0.01)
    trace.stage("retrieve", "hybrid", 8.2, steps={"encode": 2.5, "dense": 0.5})
    trace.stage("read", "llm", 1840.0)
    html = rendering.trace(Turn(1, "q", "c", trace=trace))
    rows = [row.get_text(" ") for row in BeautifulSoup(html, "html.parser").select("tr")]
    assert "off" in rows[0]
    assert "8 ms" in rows[1]
    assert "encode 2.5 · dense 0.5" in rows[1]
    assert "1.8 s" in rows[2]


def test_progress_tells_count_rate_and_time_left() -> None:
    html = rendering.progress(Progress(3, 12, 300, 0.25, 10.0, "a.pdf"))
    text = BeautifulSoup(html, "html.parser").get_text(" ")
    assert "3 of 12 documents · 300 passages · 30/s · 30 s left" in text
    assert "a.pdf" in text


def test_report_names_every_failed_file_with_its_reason() -> None:
    report = IngestReport(added=2, passages=9, failures=[Failure("bad.pdf", "is encrypted")])
    soup = BeautifulSoup(rendering.report(report), "html.parser")
    assert "2 added · 9 passages" in soup.get_text()
    assert [item.get_text() for item in soup.select("li")] == ["bad.pdf is encrypted"]


def test_banner_offers_to_connect_a_model_and_goes_when_there_is_one() -> None:
    assert 'data-opens="connect-model"' in rendering.banner("")
    assert rendering.banner("some-model") == ""


def test_the_running_turn_is_not_part_of_the_conversation_yet() -> None:
    session = Thread(turns=[a_turn("first"), a_turn("second", "running")])
    html = rendering.conversation(session)
    assert "first" in html
    assert "second" not in html


def test_thoughts_are_folded_above_the_answer_and_escaped() -> None:
    turn = Turn(7, "q", "c", "Yes.", "running", thinking="\n<b>hm</b>\nso [1]")
    page = BeautifulSoup(rendering.turn(turn), "html.parser")
    folded = page.select_one("details")
    assert folded is not None
    assert "open" not in folded.attrs
    assert folded.p is not None
    assert folded.p.get_text("\n") == "<b>hm</b>\nso [1]"
    assert folded.find_next_sibling("div", class_="answer") is not None
    assert "details" not in rendering.turn(Turn(7, "q", "c", "Yes.", "running"))


def test_what_is_not_in_the_documents_is_noted_calmly() -> None:
    turn = Turn(1, "q", "c", "No price.", "done", abstained=True)
    assert "Not answered from the documents." in rendering.turn(turn)
    turn.abstained = False
    assert "Not answered" not in rendering.turn(turn)


def test_the_share_of_cited_sentences_stands_with_the_facts() -> None:
    trace = Trace(passages_given=10, passages_used=6)
    trace.stage("read", "llm", 5.0, coverage=0.75)
    facts = BeautifulSoup(rendering.trace(Turn(1, "q", "c", trace=trace)), "html.parser").dl
    assert facts is not None
    assert "passages used6 of 10sentences cited75%" in facts.get_text()


def test_a_page_is_shown_with_its_boxes_and_the_text_folded():
    quote = Quote("It leaks.", 0, 9)
    cited = Citation(2, "p", "a.pdf", 3, 0, 9, "It leaks.", place="page 3", quotes=(quote,))
    context = PassageContext("<b>.pdf", 3, (), "Before. ", "It leaks.", "")
    picture = PagePicture(3, 200.0, 400.0, ((20, 40, 60, 80), (20, 80, 40, 90)), True, "UklGRg==")
    html = rendering.passage(context, 2, cited, picture=picture)
    soup = BeautifulSoup(html, "html.parser")
    assert soup.select_one("figure img")["alt"] == "Page 3 of <b>.pdf"
    first, second = soup.select("figure i")
    assert first["style"] == "left:10.00%;top:10.00%;width:20.00%;height:10.00%"
    assert (first["id"], second.get("id")) == ("marked", None)
    assert html.count("marked") == 1
    assert [mark.text for mark in soup.select(".as-text mark")] == ["It leaks."]
    unknown = rendering.passage(context, 2, cited, picture=replace(picture, boxes=(), exact=False))
    assert "not known" in unknown
    assert "not found on the page" in rendering.passage(
        context, 2, cited, picture=replace(picture, exact=False)
    )
    assert "cannot be shown: &lt;i&gt;" in rendering.passage(context, 2, cited, trouble="<i>")


def test_steps_lead_to_the_citations_before_and_behind():
    turn = a_turn("water")
    turn.citations = [replace(turn.citations[0], n=n) for n in (1, 3, 4)]
    buttons = BeautifulSoup(rendering.steps(turn, 3), "html.parser").select("button")
    assert [(button["data-step"], button["data-n"]) for button in buttons] == [
        ("previous", "1"),
        ("next", "4"),
    ]
    [_, last] = BeautifulSoup(rendering.steps(turn, 4), "html.parser").select("button")
    assert last.has_attr("disabled")
    assert rendering.steps(turn, 9) == ""


def test_a_copied_answer_keeps_its_brackets_and_names_its_sources() -> None:
    page = BeautifulSoup(rendering.turn(a_turn("Two litres [1].")), "html.parser")
    [copy] = page.select("[data-act=copy]")
    assert copy["data-text"] == "Two litres [1].\n\n[1] Two litres [1]., page 3"


def test_a_foot_says_what_was_used_and_how_long_it_took() -> None:
    turn = a_turn("x")
    assert turn.trace
    turn.trace.passages_given, turn.trace.passages_used, turn.milliseconds = 8, 3, 1500
    turn.trace.tokens = {"query": 5, "prompt": 900, "completion": 100}
    shown = "used 3 of 8 passages · 1.5 s · 1,000 tokens"
    assert f"{shown}<" in rendering.turn(turn)
    turn.trace.dollars = 0.00412
    assert f"{shown} · $0.0041<" in rendering.turn(turn)
    assert [rendering.money(one) for one in (0, 0.5, 12, 3e-7)] == [
        "$0.00", "$0.50", "$12.00", "$0.00000030"
    ]  # fmt: skip
    turn.state = "stopped"
    assert "8 passages · stopped after 1.5 s" in rendering.turn(turn)


def test_the_last_turn_can_be_asked_again_and_only_a_kept_one_be_rated() -> None:
    first, last = a_turn("one"), a_turn("two")
    last.asked = last.rating = ""
    page = BeautifulSoup(rendering.conversation(Thread(turns=[first, last])), "html.parser")
    one, two = page.select("article")
    assert not one.select("[data-act=again], [data-act=edit]")
    assert [button["data-text"] for button in two.select("[data-act=again]")] == ["two"]
    assert one.select_one("[data-rating='']")["aria-pressed"] == "true"
    assert one.select_one(".comment input")["value"] == "one"
    assert not two.select("[data-act=rate]")


def test_a_long_reason_is_folded_behind_its_first_sentence() -> None:
    why = "files of type .exe are not supported. Supported are " + " .txt" * 40
    assert rendering.reason(why).startswith(
        "<details><summary>files of type .exe are not supported</summary>Supported are"
    )
    assert rendering.reason("damaged: <b>") == "damaged: &lt;b&gt;"


def test_code_is_coloured_and_stays_text() -> None:
    html = rendering.markdown("```python\ndef f(): return '<b>'\n```\n```no\n<i>\n```", 1, set())
    assert '<span class="code-k">def</span>' in html
    assert "&lt;i&gt;" in html
    assert BeautifulSoup(html, "html.parser").select("b, i") == []
