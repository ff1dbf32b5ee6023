import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from generation.citations import Citation
from rag_app.results import Hit
from ui.session import HISTORY_TURNS, Session, Thread, Turn


def a_hit(chunk: str) -> Hit:
    return Hit(chunk, "doc.md", None, 0, 4, "text", 1.0, {}, {})


def answered(thread: Thread, question: str, text: str) -> Turn:
    turn = thread.begin(question, "c")
    turn.text, turn.state = text, "done"
    return turn


def test_one_answer_at_a_time() -> None:
    thread = Thread()
    thread.begin("one", "c")
    assert thread.running
    with pytest.raises(ValueError, match="still being written"):
        thread.begin("two", "c")


def test_a_new_question_forgets_an_earlier_wish_to_stop() -> None:
    thread = Thread(stopping=True)
    thread.begin("one", "c")
    assert not thread.stopping


def test_what_is_asked_again_stands_aside_until_the_new_answer_has_ended() -> None:
    thread = Thread()
    answered(thread, "q1", "a1")
    answered(thread, "q2", "a2")
    again = thread.begin("q2, please", "c", again=True)
    assert (thread.replaced, again.number) == ([2], 3)
    assert [turn.question for turn in thread.shown()] == ["q1"]
    assert [message.content for message in thread.history()] == ["q1", "a1"]
    again.state = "failed"
    assert [turn.question for turn in thread.shown()] == ["q1", "q2", "q2, please"]
    thread.begin("q2, at last", "c", again=True)
    assert thread.replaced == [2, 3]
    thread.turns[-1].state = "stopped"
    thread.begin("another", "c")
    assert thread.replaced == []


@given(st.integers(0, 20))
def test_history_is_the_last_answered_turns_oldest_first(count: int) -> None:
    thread = Thread()
    for i in range(count):
        answered(thread, f"q{i}", f"a{i}")
    kept = range(max(0, count - HISTORY_TURNS), count)
    expected = [part for i in kept for part in (("user", f"q{i}"), ("assistant", f"a{i}"))]
    assert [(m.role.value, m.content) for m in thread.history()] == expected


def test_an_answer_holds_on_to_its_own_conversation() -> None:
    session = Session()
    before = session.thread
    turn = before.begin("one", "c")
    session.show(Thread())
    assert (session.turns, before.turns, before.stopping) == ([], [turn], True)
    assert session.thread.begin("two", "c").number == 1


def test_history_leaves_out_what_failed_or_is_running() -> None:
    thread = Thread()
    answered(thread, "good", "yes")
    thread.begin("bad", "c").state = "failed"
    thread.begin("now", "c").text = "half"
    assert [m.content for m in thread.history()] == ["good", "yes"]


def test_a_citation_names_its_chunk_even_where_it_is_not_the_nth_hit() -> None:
    cited = Citation(2, "chunk-b", "doc.md", None, 0, 4, "text")
    turn = Turn(1, "q", "c", "x [2]", "done", [a_hit("chunk-a")], [cited])
    assert [turn.passage_id(n) for n in (0, 1, 2, 3)] == [None, "chunk-a", "chunk-b", None]
    assert turn.cited == {2}


def test_while_an_answer_grows_every_passage_may_be_cited() -> None:
    turn = Turn(1, "q", "c", hits=[a_hit("a"), a_hit("b")])
    assert turn.cited == {1, 2}


@given(st.integers())
def test_only_turns_that_exist_are_found(number: int) -> None:
    thread = Thread()
    turns = [answered(thread, "q", "a") for _ in range(3)]
    assert thread.turn(number) == (turns[number - 1] if 1 <= number <= 3 else None)


def test_export_holds_questions_answers_and_cited_passages() -> None:
    thread = Thread()
    turn = answered(thread, "Why\ndoes it float?", "It is light [1].")
    turn.citations = [Citation(1, "a", "wood.pdf", 7, 0, 4, "Wood is\nlight.")]
    failed = thread.begin("And then?", "c")
    failed.state, failed.error = "failed", "the server is down"
    assert thread.markdown() == (
        "# Conversation\n\n## Why does it float?\n\nIt is light [1].\n\n"
        "> [1] **wood.pdf, page 7**: Wood is light.\n\n## And then?\n\n*the server is down*"
    )


HOSTILE = (
    "![x](http://evil/a.png)", "![1](http://evil)", "![1][1]\n\n[1]: http://evil",
    "![1]\n\n[1]:\nhttp:x",
    "\\![x](http://evil)", "!\\[x](http://evil)", "<img src=x>", "<script>alert(1)</script>",
    "<!-- ", "<http://evil>", "[x](javascript:alert(1))", "[![x](a)](b)",
    "![a [1] b](http://evil)",
    "[1][2](http://evil)", "![[note]]", "&#60;img src=x&#62;", "&#33;&#91;x](http://evil)",
    "```\n```\n<b>", "[a]:\n<x>\n\n![a]",
)  # fmt: skip


def exported(text: str) -> str:
    thread = Thread()
    turn = answered(thread, text, text)
    turn.citations = [Citation(1, "p", f"{text}.md", None, 0, 4, text)]
    failed = thread.begin("and now", "c")
    failed.error, failed.state = text, "failed"
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(thread.markdown())


@pytest.mark.parametrize("text", HOSTILE)
def test_the_export_brings_nothing_to_life(text: str) -> None:
    shown = exported(text)
    assert not re.search(r"<(img|a|script|b|!--)\b|<!--", shown), shown


@given(st.lists(st.sampled_from([*"![]()<>\\:1x \n`", "http://e", "a.png"]), max_size=14))
def test_no_mix_of_marks_brings_an_export_to_life(marks: list[str]) -> None:
    shown = exported("".join(marks))
    assert not re.search(r"<(img|a|x)\b", shown), shown


def test_the_export_keeps_citations_and_emphasis() -> None:
    thread = Thread()
    answered(thread, "why", "**Because** of rain [1][2], and more [3].")
    shown = MarkdownIt().render(thread.markdown())
    assert "<strong>Because</strong> of rain [1][2], and more [3]." in shown
