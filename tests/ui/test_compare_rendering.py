"""What the compare page shows of systems, their answers, ranks and votes."""

from rag_app.accounts.chats.conversation import Turn
from rag_app.accounts.chats.votes import Vote
from rag_app.results import IndexInfo, SearchResult, Trace
from rag_app.settings import Settings
from rag_app.systems.comparison import compare
from tests.rag_app.accounts.chats.test_votes import a_hit
from ui import compare_rendering as page
from ui.parts import parts_of

HOSTILE = "<img src=x onerror=alert(1)>"


def index(encoder: str, *, usable: bool = True, behind: int = 0) -> IndexInfo:
    return IndexInfo("f", encoder, "m", 2, 5, active=True, usable=usable, behind=behind)


def test_what_cannot_work_is_offered_with_its_reason_and_cannot_be_chosen():
    parts = parts_of(Settings(), [index("mine", behind=3), index("old", usable=False)])
    shown = page.form(["c", HOSTILE], "c", parts, 4)
    assert HOSTILE not in shown
    assert shown.count("<fieldset") == 4
    assert shown.count("<fieldset hidden disabled>") == 2
    assert '<option value="qwen" disabled>qwen – needs a language model</option>' in shown
    assert '<option value="minilm" disabled>minilm – has no index of this collection' in shown
    assert '<option value="mine">mine (3 documents behind)</option>' in shown
    assert '<option value="old" disabled>old – has to be built anew</option>' in shown
    usable = parts_of(Settings(), [index("minilm")])
    assert [one.obstacle for one in usable.encoders] == [""]


def turn(text: str, *hits: int, **changed: object) -> Turn:
    trace = Trace(tokens={"prompt": 1200, "completion": 4}, flops=3.5e9)
    trace.stage("retrieve", "hybrid", 12.0)
    made = Turn(1, "Where?", "c", text, "done", [a_hit(number) for number in hits], trace=trace)
    for name, value in {"milliseconds": 1500.0, **changed}.items():
        setattr(made, name, value)
    return made


def shown(turns: list[Turn], vote: Vote | None = None) -> str:
    names = ["bm25", HOSTILE]
    results = {
        name: SearchResult("Where?", one.hits, one.trace)
        for name, one in zip(names, turns, strict=True)
        if one.trace
    }
    return page.results("Where?", names, turns, compare(results, 5), vote)


def test_answers_stand_side_by_side_with_time_tokens_and_operations():
    seen = shown([turn(f"One {HOSTILE}.", 1, 2), turn("Two.", 2, 3)])
    assert HOSTILE not in seen
    assert "found in 12 ms · 1.5 s in all · 1,204 tokens · 3.50 GFLOP" in seen
    assert "<td>1</td><td>33%</td>" in seen
    assert '<tr data-hits="0:2 1:1">' in seen
    assert "▲1" in seen
    assert 'data-system="bm25" aria-pressed="false"' in seen


def test_a_system_that_failed_says_why_and_the_others_are_compared():
    failed = turn("", state="failed", error=f"no {HOSTILE}", trace=None)
    seen = shown([turn("One.", 1), failed])
    assert "no &lt;img" in seen
    assert "How much they agree" not in seen
    assert "birds.md" in seen
    assert seen.count('data-act="vote"') == 2


def test_a_vote_is_seen_with_what_was_marked():
    vote = Vote("Where?", "c", ["bm25"], "bm25", [a_hit(2)], marked=True)
    seen = shown([turn("One.", 1, 2), turn("Two.", 2)], vote)
    assert 'data-system="bm25" aria-pressed="true"' in seen
    assert seen.count(" checked>") == 1
    assert "the passages you marked" in seen


def test_while_systems_answer_they_can_be_stopped():
    seen = page.results("Where?", ["bm25", "hybrid"], [turn("On", 1, state="running")], None, None)
    assert 'data-act="stop"' in seen
    assert "Waits for its turn" in seen
    assert 'data-act="vote"' not in seen


def test_votes_are_counted_and_exported_once_a_passage_answers():
    votes = [
        Vote("a", "c", [], "hybrid", [a_hit(1)]),
        Vote("b", "c", [], "hybrid"),
        Vote("c", "c", [], ""),
    ]
    assert page.tally([], "c") == ""
    seen = page.tally(votes, "a/c")
    assert "hybrid 2, no difference 1" in seen
    assert "1 of 3 questions" in seen
    assert 'href="/votes/a%2Fc"' in seen
    assert "href" not in page.tally(votes[1:], "c")
