import json

import pytest

from retrieval.reranking.definitions import DEFINITIONS
from retrieval.reranking.pointwise import Grading
from retrieval.reranking.qwen_sampled import QwenSampledReranker, filled, prompt, published_grade
from tests.openai_server import Reply
from tests.retrieval.reranking.scripted import ids, passages


def test_the_published_rule_is_followed_on_odd_outputs(shared_data):
    rows = json.loads((shared_data / "golden_qwenrerank.json").read_text("utf-8"))["rows"]
    assert len(rows) == 30
    for row in rows:
        assert published_grade(row["output"]).grade == row["score"], row["output"]


@pytest.mark.parametrize(
    ("output", "status"),
    [("Relevance score: 4.", "ok"), ("4", "missing"), ("Relevance score: X", "wrong_format")],
)
def test_what_was_odd_is_told(output, status):
    assert published_grade(output).status == status


def test_the_prompt_has_the_published_parts_in_their_order():
    text = filled(prompt(DEFINITIONS["pony"]), "a {document} query", "a {query} document")
    parts = [
        DEFINITIONS["pony"],
        "Relevance score: X.",
        "<start_query>\na {document} query\n<end_query>",
        "<start_document>\na {query} document\n<end_document>",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.endswith("<end_document>\n")


async def test_the_final_score_is_half_the_grade_and_half_the_retrievers_own_score(server, client):
    server.replies = [Reply("Relevance score: 2."), Reply("No idea."), Reply("Relevance score: ?")]
    reranker = QwenSampledReranker(client(server.url, chat=False), grading=Grading(concurrency=1))
    reranked = await reranker.rerank("q", passages(["a", "b", "c"], [0.5, 0.9, 0.7]))
    assert ids(reranked.nodes) == ["p0", "p1", "p2"]
    assert [found.score for found in reranked.nodes] == pytest.approx([0.45, 0.45, -0.15])
    assert reranked.notes["ok"] == reranked.notes["missing"] == reranked.notes["wrong_format"] == 1


async def test_a_raw_completion_is_sampled_as_published(server, client):
    server.replies = [Reply("Relevance score: 5.")]
    llm = client(server.url, chat=False)
    whole = "word " * 3000
    await QwenSampledReranker(llm, definition="leetcode").rerank("q", passages([whole]))
    (body,) = server.requests
    assert body["prompt"] == filled(prompt(DEFINITIONS["leetcode"]), "q", whole)
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.6, 0.9, 32)
    assert "structured_outputs" not in body


async def test_the_published_prompt_can_be_given(server, client):
    server.replies = [Reply("Relevance score: 5.")]
    llm = client(server.url, chat=False)
    await QwenSampledReranker(llm, template="{query}|{document}").rerank("q", passages(["a"]))
    assert server.requests[0]["prompt"] == "q|a"


@pytest.mark.parametrize("template", ["{query}", "{document}"])
def test_a_template_without_its_fields_is_refused(client, template):
    with pytest.raises(ValueError, match="lacks"):
        QwenSampledReranker(client("http://unused/v1", chat=False), template=template)


def test_a_chat_model_is_refused(client):
    with pytest.raises(ValueError, match="is_chat_model=False"):
        QwenSampledReranker(client("http://unused/v1"))


async def test_a_server_that_fails_keeps_the_passages_in_their_order(server, client):
    server.replies = [Reply(status=429)]
    reranker = QwenSampledReranker(client(server.url, chat=False))
    reranked = await reranker.rerank("q", passages(["a", "b"]))
    assert ids(reranked.nodes) == ["p0", "p1"]
    assert reranked.notes["failed"] == 2
    assert reranked.notes["error"].startswith("HTTP 429")
