"""The reports of a run: whole, harmless, the same each time, and from nothing but its folder."""

import re
import sys
from html.parser import HTMLParser

import pytest

from eval.errors import EvalError
from eval.report import write
from eval.report.writing import per_query
from tests.eval.report.runs import choice_run, metrics, retrieval_run

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(2)> {{ 7 * 7 }} {% raw %} $\\frac{1}{2}$ "
    "](https://evil.example) | `x` **bold** "
    "\x00\x1b[31m \u202eback\u202c \ud800 ﷽ 𝔘 \u200b </style>"
)


class Page(HTMLParser):
    """Tags, attributes and text of a page; `open` are the tags that were never closed."""

    _EMPTY = frozenset({"meta", "br", "img", "path", "use", "rect", "link"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.ids, self.words, self.open = set(), [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self._EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self._EMPTY:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self._EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def written(run):
    write(run)
    return [(run.path / name).read_text("utf-8") for name in ("report.html", "report.md")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return written(choice_run(tmp_path_factory.mktemp("runs") / "a"))


def test_the_page_is_one_file_that_asks_nobody_for_anything(made):
    page = Page(made[0])
    assert not page.open
    assert not page.tags & {"script", "link", "img", "iframe", "object", "form", "base"}
    outside = [
        value for name, value in page.attributes if name in {"src", "href", "srcset", "action"}
    ]
    assert all(value.startswith("#") for value in outside)
    assert "url(http" not in made[0]
    assert "@import" not in made[0]


def test_every_id_of_the_page_is_used_once_and_every_reference_is_to_one(made):
    page = Page(made[0])
    assert len(page.ids) == len(set(page.ids))
    named = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)|aria-labelledby="([^"]+)"', made[0]))
    assert {next(filter(None, found)) for found in named} <= set(page.ids)


def test_every_plot_is_described_for_those_who_cannot_see_it(made):
    drawings = re.findall(r'<div class="drawing" role="img" aria-label="([^"]{40,})"', made[0])
    assert len(drawings) == made[0].count("<svg") == 3


def test_both_forms_hold_every_table(made):
    captions = re.findall(r"<caption[^>]*>([^<]+)</caption>", made[0])
    assert len(captions) > 8
    for caption in captions:
        assert f"{caption}:\n\n|" in made[1].replace("&amp;", "&")


def test_a_run_gives_the_same_reports_each_time_and_wherever_it_lies(tmp_path):
    first = written(choice_run(tmp_path / "first"))
    assert written(choice_run(tmp_path / "second")) == first


def test_what_data_say_is_shown_and_never_done(tmp_path):
    run = choice_run(
        tmp_path / "run", text=HOSTILE, passage=HOSTILE, subjects=(HOSTILE, "law", "physics")
    )
    page, markdown = written(run)
    parsed = Page(page)
    assert not parsed.open
    assert not parsed.tags & {"script", "img"}
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in "".join(parsed.words)
    assert "{{ 7 * 7 }}" in "".join(parsed.words)
    assert page.count("</style>") == 1
    for text in (page, markdown):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)
    assert "<" not in re.sub(r"&lt;", "", markdown)
    assert not re.search(r"(?<!\\)\]\(", markdown)
    assert "https://" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows if "alert" in row}) == 1


def test_a_huge_text_is_clipped(tmp_path):
    run = choice_run(tmp_path / "run", questions=60, text="long " * 20_000, passage="wide" * 20_000)
    page, markdown = written(run)
    assert len(page) < 600_000
    assert len(markdown) < 300_000


def test_private_data_show_ids_only(tmp_path):
    run = choice_run(tmp_path / "run", dataset="gpqa_diamond", private=True, passage="SECRET")
    run.write_json("questions.json", {"q1": {"question": "SECRET", "choices": ["SECRET"]}})
    page, markdown = written(run)
    assert "SECRET" not in page + markdown
    assert re.search(r"<summary><bdi>q\d+</bdi>", page)


def test_passages_of_private_data_are_not_shown_even_where_the_log_has_them(tmp_path):
    run = choice_run(tmp_path / "run", passage="SECRET")
    run.dataset["private"] = True
    assert "SECRET" not in "".join(written(run))


def test_twenty_changes_each_way_are_shown_with_their_passages(tmp_path):
    page, markdown = written(choice_run(tmp_path / "run", gain=0.9, passage="It is <this>."))
    assert page.count('<details class="case">') == 20
    assert page.count("It is &lt;this&gt;.") == 20
    assert "20 of them drawn by a hash" in markdown
    assert "closed_book</b> " in page


def test_a_retrieval_run_is_reported_with_pairs_costs_lengths_and_queries(tmp_path):
    run = retrieval_run(
        tmp_path / "run",
        {"bm25": (2, 0, 3), "hybrid": (1, 1, 2), "dense": (0, 5, 1)},
        lengths=(64, 128),
    )
    page, markdown = written(run)
    assert page.count("<svg") == 4
    for heading in (
        "Quality by system", "Pairs of systems", "Beside published numbers", "What quality costs",
        "Longer queries", "Where the best two differ", "How it was measured",
    ):  # fmt: skip
        assert f"## {heading}" in markdown
    assert "first?" in page
    assert "all-MiniLM-L6-v2" in markdown


def test_a_run_of_one_system_over_unknown_data_needs_nothing_more(tmp_path):
    run = retrieval_run(tmp_path / "run", {"bm25": (1,)}, dataset="own:notes", queries=("a", "b"))
    (run.path / "per_query.csv").unlink()
    (run.path / "questions.json").unlink()
    page, markdown = written(run)
    assert "bm25 reaches nDCG@10 1.000" in page
    assert "Pairs of systems" not in markdown


def test_a_run_of_one_arm_says_that_nothing_is_compared(tmp_path):
    page, _ = written(choice_run(tmp_path / "run", arms=("closed_book",)))
    assert "Whether retrieval gains cannot be said" in page


def test_an_unfinished_run_is_refused_with_the_hint(tmp_path):
    run = choice_run(tmp_path / "run")
    (run.path / "metrics.json").unlink()
    with pytest.raises(EvalError, match="eval resume"):
        write(run)


@pytest.mark.parametrize("library", ["matplotlib.figure", "jinja2"])
def test_a_missing_library_is_named_with_the_extra_that_brings_it(tmp_path, monkeypatch, library):
    run = choice_run(tmp_path / "run")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(EvalError, match=r"pip install 'rag-app\[eval\]'"):
        write(run)
    assert not (run.path / "report.html").exists()


def test_a_damaged_table_by_query_is_named(tmp_path):
    run = retrieval_run(tmp_path / "run", {"bm25": (1,), "dense": (2,)})
    (run.path / "per_query.csv").write_text("system,query,ndcg@10\nbm25,q1,much\n")
    with pytest.raises(EvalError, match=r"per_query\.csv could not be read"):
        per_query(run)


def test_metrics_are_left_as_they_are(tmp_path):
    run = choice_run(tmp_path / "run")
    before = metrics(run)
    write(run)
    assert metrics(run) == before
