import math
import time
from dataclasses import replace

import pytest

from retrieval.reranking.cross_encoder import CrossEncoderReranker
from tests.openai_server import Reply
from tests.retrieval.reranking.scripted import ids, passages

SHARES = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.9, "e": 0.3}


@pytest.fixture
def reranker(rerank_server, connections):
    rerank_server.score = lambda text: SHARES.get(text, 0.4)

    def make(batch=32, **more):
        return CrossEncoderReranker(
            connections, rerank_server.url, "tiny-model", batch=batch,
            grading=replace(CrossEncoderReranker.default_grading, **more),
        )  # fmt: skip

    return make


@pytest.mark.parametrize("form", ["vllm", "jina", "tei"])
async def test_the_servers_order_is_taken_over_whatever_form_it_speaks(
    rerank_server, reranker, form
):
    rerank_server.form = form
    one = reranker(batch=2, concurrency=1)
    for _ in range(2):
        reranked = await one.rerank("q", passages(["a", "b", "c", "d", "e"]))
        assert ids(reranked.nodes) == ["p1", "p3", "p2", "p4", "p0"]
        assert [found.score for found in reranked.nodes] == [0.9, 0.9, 0.5, 0.3, 0.1]
        assert reranked.notes["ok"] == 5
    tried = {"vllm": 0, "jina": 1, "tei": 2}[form]
    assert len(rerank_server.requests) == tried + 6  # the form is found out once


async def test_the_key_is_sent(rerank_server, connections):
    rerank_server.api_key = "sk-of-the-server"
    for key, told in (("sk-of-the-server", None), ("", "HTTP 401: "), ("wrong", "HTTP 401: ")):
        one = CrossEncoderReranker(connections, rerank_server.url, "tiny-model", api_key=key)
        reranked = await one.rerank("q", passages(["a"]))
        assert str(reranked.notes.get("error")).startswith(str(told))


async def test_long_passages_are_cut_before_they_are_sent(rerank_server, reranker):
    reranked = await reranker(passage_tokens=10).rerank("q", passages(["word " * 99, "a"]))
    assert reranked.notes["cut"] == 1
    assert len(rerank_server.requests[0]["documents"][0]) < 50


async def test_logits_become_shares(rerank_server, reranker):
    rerank_server.score = {"a": -800.0, "b": 0.0, "c": 2.0}.get
    reranked = await reranker(batch=1).rerank("q", passages(["a", "b", "c"]))
    assert [found.score for found in reranked.nodes] == pytest.approx(
        [1 / (1 + math.exp(-2)), 0.5, 0.0]
    )


async def test_a_passing_failure_is_tried_again(rerank_server, reranker):
    rerank_server.failures = [Reply(status=429), Reply(status=503)]
    reranked = await reranker().rerank("q", passages(["a", "b"]))
    assert ids(reranked.nodes) == ["p1", "p0"]
    assert len(rerank_server.requests) == 3


FAILURES = {
    "dies": Reply(die_after=0),
    "hangs": Reply(hang_after=0),
    "is busy": Reply(status=429),
    "refuses": Reply(status=400),
    "sends half a JSON": Reply(body='{"results": [{"ind'),
    "sends something else": Reply(body='{"status": "ok"}'),
    "sends a list of something else": Reply(body="[1, 2]"),
    "sends a word": Reply(body='"ok"'),
    "sends a page": Reply(body="<html>Welcome</html>", media_type="text/html"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_server_that_fails_costs_no_passage_and_no_time_beyond_the_deadline(
    rerank_server, reranker, failure
):
    rerank_server.failures = [FAILURES[failure]] * 20
    start = time.monotonic()
    reranked = await reranker(deadline=1.0, batch=2).rerank("q", passages(["a", "b", "c"]))
    assert time.monotonic() - start < 25
    assert ids(reranked.nodes) == ["p0", "p1", "p2"]
    assert reranked.notes["failed"] + reranked.notes["timeout"] == 3
    assert reranked.notes["error"]


async def test_a_wrong_model_or_address_leaves_the_order(rerank_server, connections):
    for url, model, told in (
        (rerank_server.url + "/", "another", "HTTP 404: "),
        ("http://127.0.0.1:9/v1", "tiny-model", "cannot be reached"),
    ):
        one = CrossEncoderReranker(connections, url, model)
        reranked = await one.rerank("q", passages(["a", "b"]))
        assert ids(reranked.nodes) == ["p0", "p1"]
        assert told in reranked.notes["error"]


async def test_scores_of_no_passage_and_no_number_are_left_out(rerank_server, reranker):
    rerank_server.failures = [
        Reply(
            body='{"results": [{"index": 1, "relevance_score": 0.2}, {"index": 7, '
            '"relevance_score": 0.9}, {"index": 0, "relevance_score": NaN}, '
            '{"index": -1, "relevance_score": 0.9}, {"index": 2, "relevance_score": 0.8}]}'
        )
    ]
    reranked = await reranker().rerank("q", passages(["a", "b", "c"]))
    assert (reranked.notes["ok"], reranked.notes["missing"]) == (2, 1)
    assert ids(reranked.nodes) == ["p2", "p0", "p1"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('[{"index": 0, "score": 0.5}, {"index": 0, "score": 0.9}]', "scores passage 0 twice"),
        ('[{"index": 0, "score": 1' + "0" * 400 + "}]", "not of the API's form"),
        ('{"results": [' + " " * (17 << 20) + "]}", "larger than 16 MiB"),
    ],
)
async def test_answers_that_lie_leave_the_order_and_say_why(rerank_server, reranker, body, told):
    rerank_server.failures = [Reply(body=body)]
    reranked = await reranker().rerank("q", passages(["a", "b"]))
    assert ids(reranked.nodes) == ["p0", "p1"]
    assert told in reranked.notes["error"]


async def test_lone_surrogates_are_sent_as_unknown_characters(rerank_server, reranker):
    reranked = await reranker().rerank("q\ud800", passages(["a\udfff", "b"]))
    assert "error" not in reranked.notes


@pytest.mark.parametrize(("argument", "value"), [("batch", 0), ("url", "localhost:8000")])
def test_arguments_out_of_range_are_refused(connections, argument, value):
    arguments = {"url": "http://unused/v1", "model": "m", argument: value}
    with pytest.raises(ValueError, match=argument):
        CrossEncoderReranker(connections, **arguments)
