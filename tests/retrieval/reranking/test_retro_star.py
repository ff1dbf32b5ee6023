import json

import pytest

from retrieval.published import STACK_EXCHANGE
from retrieval.reranking.definitions import DEFINITIONS as OTHERS
from retrieval.reranking.pointwise import Grading
from retrieval.reranking.retro_star import (
    DEFINITIONS,
    RetroStarReranker,
    mean_of,
    meaning,
    points,
)
from tests.openai_server import Reply
from tests.retrieval.reranking.scripted import asked, ids, passages


def verdicts(*texts: str) -> Reply:
    """One answer with several choices, as a server gives it to ``n``."""
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for at, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    body = {"id": "c", "object": "chat.completion", "created": 0, "model": "tiny-model"}
    return Reply(body=json.dumps({**body, "choices": choices, "usage": usage}))


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("Well. <score>\n85\n</score>", 85),
        ("<score>7</score> or rather <score>90</score>", 7),
        ("<score> 0 </score>", 0),
        ("<score>250</score>", 100),
        ("<score>85.5</score>", None),
        ("<score>-3</score>", None),
        ("<score>high</score>", None),
        ("<score>85", None),
        ("85", None),
        ("", None),
    ],
)
def test_the_points_are_the_whole_number_between_the_first_tags(verdict, expected):
    assert points(verdict) == expected


def test_verdicts_are_averaged_and_those_without_points_count_as_none_at_all():
    assert mean_of(["<score>80</score>", "no idea", "<score>40</score>"])[:2] == (0.4, "ok")
    assert mean_of(["no idea", ""])[:2] == (0.0, "missing")


def test_definitions_are_known_for_all_tasks_that_others_know():
    assert set(DEFINITIONS) == set(OTHERS)
    assert {meaning(task) for task in STACK_EXCHANGE} == {meaning("")} == {DEFINITIONS["general"]}
    assert meaning("pony") != meaning("leetcode")
    assert meaning(" my own ") == "my own"


async def test_passages_are_ranked_by_their_points_alone(server, client):
    server.respond = lambda body: Reply(
        "<score>20</score>" if "Document]\na" in asked(body) else "<score>70</score>"
    )
    reranked = await RetroStarReranker(client(server.url)).rerank("q", passages(["a", "b", "c"]))
    assert ids(reranked.nodes) == ["p1", "p2", "p0"], "equal ones in the retriever's order"
    assert [found.score for found in reranked.nodes] == pytest.approx([0.7, 0.7, 0.2])
    assert reranked.notes["ok"] == 3


async def test_a_verdict_is_sampled_as_published(server, client):
    server.replies = [verdicts("<score>10</score>", "<score>30</score>")]
    reranker = RetroStarReranker(client(server.url), samples=2, definition="pony")
    reranked = await reranker.rerank("a {document}", passages(["a {query}"]))
    assert reranked.nodes[0].score == pytest.approx(0.2)
    (body,) = server.requests
    assert (body["temperature"], body["top_k"], body["n"], body["max_tokens"]) == (0.6, 40, 2, 4096)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    (message,) = body["messages"]
    assert message["role"] == "user"
    parts = [
        DEFINITIONS["pony"],
        "1. The query",
        "2. The document",
        "3. The verdict",
        "0 to 100",
        "<score>\nNUMBER\n</score>",
        "[Begin of Query]\na {document}\n[End of Query]",
        "[Begin of Document]\na {query}\n[End of Document]",
    ]
    places = [message["content"].index(part) for part in parts]
    assert places == sorted(places)


async def test_the_published_prompt_can_be_given(server, client):
    template = "{definition}|{query}|{document}|{other}"
    reranker = RetroStarReranker(client(server.url), definition="this", template=template)
    await reranker.rerank("q", passages(["a"]))
    assert asked(server.requests[0]) == "this|q|a|{other}"


async def test_noise_is_no_point_and_is_told(server, client):
    server.replies = [Reply("I cannot say")]
    reranked = await RetroStarReranker(client(server.url)).rerank("q", passages(["a", "b"]))
    assert ids(reranked.nodes) == ["p0", "p1"]
    assert reranked.notes["missing"] == 2


async def test_a_choice_without_a_message_is_a_verdict_without_points(server, client):
    whole = json.loads(verdicts("<score>80</score>", "").body or "")
    whole["choices"][1]["message"] = None
    server.replies = [Reply(body=json.dumps(whole))]
    reranked = await RetroStarReranker(client(server.url)).rerank("q", passages(["a"]))
    assert reranked.nodes[0].score == pytest.approx(0.4)


async def test_a_server_that_fails_keeps_the_passages_in_their_order(server, client):
    server.replies = [Reply(status=429)]
    reranked = await RetroStarReranker(client(server.url)).rerank("q", passages(["a", "b"]))
    assert ids(reranked.nodes) == ["p0", "p1"]
    assert reranked.notes["failed"] == 2


async def test_long_passages_are_cut(server, client):
    server.replies = [Reply("<score>1</score>")]
    reranker = RetroStarReranker(client(server.url), grading=Grading(passage_tokens=10))
    reranked = await reranker.rerank("q", passages(["word " * 100]))
    assert reranked.notes["cut"] == 1
    assert asked(server.requests[0]).count("word ") < 10


def test_what_cannot_work_is_refused(client):
    with pytest.raises(ValueError, match="is_chat_model=True"):
        RetroStarReranker(client("http://unused/v1", chat=False))
    with pytest.raises(ValueError, match="samples"):
        RetroStarReranker(client("http://unused/v1"), samples=0)
    with pytest.raises(ValueError, match="reasoning_tokens"):
        RetroStarReranker(client("http://unused/v1"), reasoning_tokens=0)
    with pytest.raises(ValueError, match="lacks"):
        RetroStarReranker(client("http://unused/v1"), template="{query}")
