"""Votes between systems: kept, replaced, read, and written as an evaluation set."""

import json
from dataclasses import replace

import pytest

from eval.datasets import beir
from rag_app.accounts.chats import EVERYONE, evaluation_set
from rag_app.accounts.chats.chats import Chats
from rag_app.accounts.chats.votes import Vote
from rag_app.errors import ApplicationError
from rag_app.results import Hit, PassageBatch

ANNE, BOB = "a" * 32, "b" * 32


def a_hit(number: int, **changed: object) -> Hit:
    hit = Hit(f"p{number}", "birds.md", None, 10 * number, 10 * number + 9, f"Text {number}.", 0.5,
              {"bm25": 1}, {"bm25": 7.0}, ("Herons",))  # fmt: skip
    return replace(hit, **changed)


def a_vote(question: str = "Where?", **changed: object) -> Vote:
    return replace(Vote(question, "c", ["bm25", "hybrid"], "bm25", [a_hit(1)]), **changed)


async def passages(*hits: Hit):
    yield PassageBatch(list(hits))


async def test_a_vote_is_kept_for_its_owner_and_the_newest_on_a_question_counts(tmp_path):
    chats = Chats(tmp_path)
    assert await chats.votes(ANNE) == []
    assert list(tmp_path.iterdir()) == []
    await chats.keep_vote(ANNE, a_vote())
    await chats.keep_vote(ANNE, a_vote(winner="hybrid", marked=True))
    await chats.keep_vote(ANNE, a_vote("How?", collection="other", winner="", relevant=[]))
    await chats.keep_vote(BOB, a_vote(winner="", relevant=[]))
    [kept] = await Chats(tmp_path).votes(ANNE, "c")
    assert kept.voted
    assert replace(kept, voted="") == a_vote(winner="hybrid", marked=True)
    assert len(await chats.votes(ANNE)) == 2
    assert [vote.winner for vote in await chats.votes(BOB)] == [""]
    assert len(await chats.votes(EVERYONE, "c")) == 2
    with pytest.raises(ApplicationError, match="known"):
        await chats.keep_vote("", a_vote())


async def test_votes_become_a_set_that_eval_retrieval_reads(tmp_path):
    votes = [
        a_vote("Where?", relevant=[a_hit(1)]),
        a_vote("Where?", relevant=[a_hit(2, passage_id="found in another index")]),
        a_vote("When?", relevant=[a_hit(7)]),
        a_vote("Who?", winner="", relevant=[]),
    ]
    found = passages(a_hit(1), a_hit(2), a_hit(3, text="Half \ud800 a pair."))
    done = await evaluation_set.write(tmp_path / "set", votes, found)
    assert (done.questions, done.judgements, done.passages, done.left_out) == (1, 2, 3, 2)
    dataset = beir.load(tmp_path / "set")
    assert dict(dataset.queries) == {"q1": "Where?"}
    assert dict(dataset.qrels) == {"q1": {"p1": 1, "p2": 1}}
    lines = (tmp_path / "set" / "corpus.jsonl").read_text().splitlines()
    corpus = [json.loads(line) for line in lines]
    assert corpus[0] == {"_id": "p1", "title": "Herons", "text": "Text 1."}
    assert len(corpus) == 3


async def test_without_a_passage_that_is_still_there_nothing_is_written(tmp_path):
    with pytest.raises(ApplicationError, match="nothing to write"):
        await evaluation_set.write(tmp_path / "set", [a_vote()], passages(a_hit(5)))
    assert not list((tmp_path / "set").rglob("*.jsonl"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ApplicationError, match="cannot be written"):
        await evaluation_set.write(tmp_path / "file", [a_vote()], passages(a_hit(1)))
