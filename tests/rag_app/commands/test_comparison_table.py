"""A comparison as people read it."""

from rag_app.commands import comparison_table
from rag_app.results import Hit, SearchResult, Trace
from rag_app.systems.comparison import compare

WORDS = {1: "first [red]words", 2: "second \x1b[31mwords", 3: "third words", 4: "fourth words"}


def found(*places: int) -> SearchResult:
    hits = [Hit(str(p), f"{p}.pdf", p, 0, 9, WORDS[p], 0.5, {}, {}) for p in places]
    return SearchResult("q", hits, Trace())


def printed(capsys, **systems: SearchResult) -> list[list[str]]:
    comparison_table.show(compare(systems, 3).as_dict())
    return [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_each_passage_has_a_rank_for_each_system_and_how_far_it_moved(capsys) -> None:
    lines = printed(capsys, bm25=found(1, 2, 3), dense=found(2, 4, 1))
    assert lines[0] == ["bm25", "dense", "passage"]
    ranks = {line[line.index("page") - 1]: line[:4] for line in lines if "page" in line}
    assert ranks["2.pdf,"] == ["2", "1", "▲1", "2.pdf,"]
    assert ranks["1.pdf,"] == ["1", "3", "▼2", "1.pdf,"]
    assert ranks["3.pdf,"] == ["3", "·", "3.pdf,", "page"]
    assert ranks["4.pdf,"] == ["·", "2", "4.pdf,", "page"]


def test_agreement_of_each_pair_comes_last(capsys) -> None:
    lines = printed(capsys, bm25=found(1, 2, 3), dense=found(2, 4, 1))
    assert lines[-1][:4] == ["bm25", "dense", "2", "0.50"]
    assert lines[-1][-1] == "1.5"
    assert printed(capsys, a=found(1), b=found(2))[-1] == ["a", "b", "0", "0.00", "0.00", "·"]


def test_words_of_documents_are_neither_markup_nor_commands(capsys) -> None:
    lines = printed(capsys, a=found(1, 2), b=found(2))
    assert ["first", "[red]words"] in lines
    assert not any("\x1b" in word for line in lines for word in line)


def test_no_hits_at_all_is_a_table_too(capsys) -> None:
    assert printed(capsys, a=found(), b=found())[-1] == ["a", "b", "0", "1.00", "1.00", "·"]
