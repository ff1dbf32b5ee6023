import math

import pytest
from llama_index.core.base.llms.types import LogProb

from retrieval.reranking.definitions import DEFINITIONS
from retrieval.reranking.rank1 import Rank1Reranker, prompt, true_share
from tests.openai_server import Reply
from tests.retrieval.reranking.scripted import asked, completion_odds, ids, passages


def odds(**odds: float) -> list[list[LogProb]]:
    return [[LogProb(token=f" {word}", logprob=math.log(odd)) for word, odd in odds.items()]]


def test_the_grade_is_the_share_of_true():
    assert true_share(odds(true=0.3, false=0.1, maybe=0.6)) == pytest.approx(0.75)
    assert true_share(odds(true=0.5)) == 1
    assert true_share(odds(false=0.5)) == 0


@pytest.mark.parametrize("positions", [[], [[]], odds(maybe=0.9)])
def test_without_either_word_there_is_no_grade(positions):
    assert true_share(positions) is None


@pytest.mark.parametrize("logprob", [math.nan, 5.0, -9999.0])
def test_what_is_no_probability_is_dropped(logprob):
    positions = [[*odds(true=0.5)[0], LogProb(token=" false", logprob=logprob)]]
    assert true_share(positions) == 1


def thinker(body):
    """Thinks, and then holds a passage for relevant if it has an x."""
    if not asked(body).endswith("</think>"):
        return completion_odds(" Is there an x? Let me see")
    passage = asked(body).split("Passage: ")[1].split("\n")[0]
    return completion_odds(" true", {" true": 0.9, " false": 0.1} if "x" in passage else
                           {" true": 0.2, " false": 0.8})  # fmt: skip


async def test_passages_are_ranked_by_the_verdict_after_the_thoughts(server, client):
    server.respond = thinker
    reranker = Rank1Reranker(client(server.url, chat=False))
    reranked = await reranker.rerank("q", passages(["a", "bx", "c", "dx"]))
    assert ids(reranked.nodes) == ["p1", "p3", "p0", "p2"]
    assert [found.score for found in reranked.nodes] == pytest.approx([0.9, 0.9, 0.2, 0.2])
    assert reranked.notes["ok"] == 4


async def test_first_the_thoughts_are_asked_for_and_then_one_word(server, client):
    server.respond = thinker
    llm = client(server.url, chat=False)
    await Rank1Reranker(llm, thinking_tokens=99).rerank("q", passages(["a"]))
    thoughts, verdict = server.requests
    assert thoughts["prompt"] == prompt("q", "a")
    assert (thoughts["max_tokens"], thoughts["stop"]) == (99, ["</think>"])
    assert (thoughts["temperature"], thoughts["skip_special_tokens"]) == (0.0, False)
    assert verdict["prompt"] == prompt("q", "a") + " Is there an x? Let me see</think>"
    assert verdict["structured_outputs"] == {"choice": [" true", " false"]}
    assert (verdict["max_tokens"], verdict["logprobs"]) == (1, 20)


async def test_thoughts_that_reach_their_limit_end_with_a_whole_sentence(server, client):
    def endless(body):
        if asked(body).endswith("</think>"):
            return completion_odds(" true", {" true": 1.0})
        return completion_odds(" Well. Is it? I am not", finish_reason="length")

    server.respond = endless
    await Rank1Reranker(client(server.url, chat=False)).rerank("q", passages(["a"]))
    assert server.requests[1]["prompt"] == prompt("q", "a") + "\nWell. Is it?\n</think>"


async def test_a_definition_goes_with_the_query(server, client):
    server.respond = thinker
    llm = client(server.url, chat=False)
    await Rank1Reranker(llm, definition="pony").rerank("q", passages(["a"]))
    assert asked(server.requests[0]) == prompt(f"q {DEFINITIONS['pony']}", "a")


async def test_without_odds_a_passage_has_no_grade_and_is_counted(server, client):
    server.replies = [Reply("true")]
    reranked = await Rank1Reranker(client(server.url, chat=False)).rerank("q", passages(["a", "b"]))
    assert reranked.notes["missing"] == 2
    assert ids(reranked.nodes) == ["p0", "p1"]


async def test_a_server_that_dies_while_it_thinks_costs_no_passage(server, client):
    server.respond = lambda body: (
        Reply(die_after=0) if "Passage: b" in asked(body) else thinker(body)
    )
    reranked = await Rank1Reranker(client(server.url, chat=False)).rerank("q", passages(["a", "b"]))
    assert (reranked.notes["ok"], reranked.notes["failed"]) == (1, 1)


def test_what_cannot_work_is_refused(client):
    with pytest.raises(ValueError, match="is_chat_model=False"):
        Rank1Reranker(client("http://unused/v1"))
    with pytest.raises(ValueError, match="thinking_tokens"):
        Rank1Reranker(client("http://unused/v1", chat=False), thinking_tokens=0)
