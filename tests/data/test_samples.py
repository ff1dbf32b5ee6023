"""The shipped samples are complete, readable, and really contain what their questions rely on."""

import importlib.util
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from data.parsing import Parser

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "data" / "samples"
DOCUMENTS = SAMPLES / "documents"
NAMES = sorted(path.name for path in DOCUMENTS.iterdir())


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / name).read_text("utf-8").splitlines()]


QUESTIONS = rows("questions.jsonl")
CHOICES = rows("choices.jsonl")


def plain(text: str) -> str:
    """The text with each run of white space as one space."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser() as parser:
        yield parser


@pytest.fixture(scope="module")
def texts(parser: Parser) -> dict[str, str]:
    """The loaded text of every document, by file name."""
    return {
        name: plain("\n".join(section.text for section in parser.parse(DOCUMENTS / name)))
        for name in NAMES
    }


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    path = REPOSITORY / "tools" / "build_samples.py"
    spec = importlib.util.spec_from_file_location("build_samples", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_supported_family_of_formats_but_epub_is_present() -> None:
    extensions = {Path(name).suffix for name in NAMES}
    assert extensions == {
        ".docx", ".eml", ".html", ".jsonl", ".md", ".odt", ".pdf", ".pptx", ".txt", ".xlsx"
    }  # fmt: skip
    assert len(NAMES) >= 12


def test_the_samples_stay_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < 600_000


def test_no_program_hides_among_the_samples() -> None:
    assert not [path for path in SAMPLES.rglob("*") if path.suffix in {".py", ".sh", ".js"}]


def test_the_readme_lists_exactly_the_documents() -> None:
    listed = re.findall(r"^\| `([^`]+)`", (SAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_document_loads_into_a_substantial_text(name: str, texts: dict[str, str]) -> None:
    words = len(texts[name].split())
    assert 200 <= words <= 2000
    assert "\ufffd" not in texts[name]


def test_pages_of_the_pdf_are_kept(parser: Parser) -> None:
    pages = {section.page for section in parser.parse(DOCUMENTS / "surge-in-pipelines.pdf")}
    assert pages == {1, 2, 3, 4}


def test_questions_are_twenty_complete_rows_of_distinct_ids() -> None:
    assert len(QUESTIONS) == 20
    assert len({row["id"] for row in QUESTIONS}) == 20
    for row in QUESTIONS:
        assert set(row) == {"id", "question", "documents", "answer", "evidence", "quotes"}
        assert all(row.values())


def test_questions_name_only_documents_that_exist_and_use_every_one() -> None:
    used = {name for row in QUESTIONS for name in row["documents"]}
    assert used == set(NAMES)


def test_most_questions_need_two_documents_and_are_long() -> None:
    assert sum(len(set(row["documents"])) >= 2 for row in QUESTIONS) >= 10
    assert sum(40 <= len(row["question"].split()) <= 120 for row in QUESTIONS) >= 10


@pytest.mark.parametrize("row", QUESTIONS, ids=lambda row: row["id"])
def test_evidence_stands_in_the_documents_and_each_document_gives_some(
    row: dict[str, Any], texts: dict[str, str]
) -> None:
    named = {name: texts[name] for name in row["documents"]}
    for evidence in row["evidence"] + row["quotes"]:
        assert any(plain(evidence) in text for text in named.values()), evidence
    for name, text in named.items():
        assert any(plain(evidence) in text for evidence in row["evidence"]), name


@pytest.mark.parametrize("row", QUESTIONS, ids=lambda row: row["id"])
def test_a_question_does_not_quote_its_evidence(row: dict[str, Any]) -> None:
    for evidence in row["evidence"] + row["quotes"]:
        assert plain(evidence).casefold() not in row["question"].casefold()


def test_choices_are_twenty_complete_rows_of_four_distinct_options() -> None:
    assert len(CHOICES) == 20
    assert len({row["id"] for row in CHOICES}) == 20
    for row in CHOICES:
        assert set(row) == {"id", "question", "choices", "answer_idx", "subject"}
        assert len(set(row["choices"])) == 4
        assert row["question"].strip() and row["subject"].strip()


def test_right_answers_are_spread_evenly_over_the_positions() -> None:
    assert Counter(row["answer_idx"] for row in CHOICES) == {0: 5, 1: 5, 2: 5, 3: 5}


@pytest.mark.parametrize("extreme", [max, min])
def test_the_length_of_an_option_does_not_give_the_answer_away(extreme: Any) -> None:
    hits = 0
    for row in CHOICES:
        hits += extreme(row["choices"], key=len) == row["choices"][row["answer_idx"]]
    assert hits <= 7


def test_shipped_documents_have_the_text_of_their_sources(
    builder: ModuleType, parser: Parser, texts: dict[str, str], tmp_path: Path
) -> None:
    built = list(builder.build(tmp_path))
    assert built
    for path in built:
        text = plain("\n".join(section.text for section in parser.parse(path)))
        assert text == texts[path.name], f"{path.name}: run tools/build_samples.py"


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(("x", ".odt"))])
def test_archives_carry_no_moment_of_building(builder: ModuleType, name: str) -> None:
    if not zipfile.is_zipfile(DOCUMENTS / name):
        pytest.fail(f"{name} is no zip archive")
    with zipfile.ZipFile(DOCUMENTS / name) as archive:
        entries = archive.infolist()
        assert len({entry.date_time for entry in entries}) == 1
        kept = [e for e in entries if e.filename in {"docProps/core.xml", "meta.xml"}]
        stamps = re.findall(rb">(\d{4}-\d\d-\d\dT[^<]*)<", b"".join(map(archive.read, kept)))
    assert kept
    assert set(stamps) <= {builder.BUILT.strftime("%Y-%m-%dT%H:%M:%SZ").encode()}
