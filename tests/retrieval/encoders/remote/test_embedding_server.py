import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from retrieval.encoders.errors import (
    EncoderError,
    EncoderUnavailableError,
    ModelMismatchError,
    TextTooLongError,
)
from retrieval.encoders.remote import embedding_server
from retrieval.encoders.remote.embedding_server import EmbeddingServer
from tests.embeddings_server import (
    DIMENSION,
    KEY,
    EmbeddingsServer,
    embeddings_server,
    ids_of,
    vector_of,
)

__all__ = ["embeddings_server"]

Connect = Callable[..., EmbeddingServer]


@pytest.fixture
def server(embeddings_server: EmbeddingsServer) -> EmbeddingsServer:
    embeddings_server.reset()
    return embeddings_server.start()


@pytest.fixture
def connect(server: EmbeddingsServer) -> Iterator[Connect]:
    """Makes clients that hardly wait, and closes them."""
    with ExitStack() as open_clients:

        def connect(**more: Any) -> EmbeddingServer:
            arguments = {"url": server.url, "model": server.model, "pause": 0.001, **more}
            client = EmbeddingServer(**arguments)
            open_clients.callback(client.close)
            return client

        yield connect


@pytest.fixture
def calls(connect: Connect) -> EmbeddingServer:
    return connect()


def test_vectors_come_in_the_order_of_the_texts_although_they_are_not_sent_so(server, calls):
    texts = ["one", "two words", "three words here"]
    vectors, tokens = calls.embed(texts, raw=True)
    np.testing.assert_array_equal(vectors, [vector_of(ids_of(text)) for text in texts])
    assert vectors.dtype == np.float32
    assert tokens == 2 + 3 + 4
    assert server.requests[0]["use_activation"] is False


def test_token_ids_are_embedded_as_they_are(calls):
    ids = [ids_of("two words"), ids_of("one")]
    np.testing.assert_array_equal(
        calls.embed(ids, raw=True).vectors, [vector_of(each) for each in ids]
    )


def test_lists_of_numbers_are_read_as_well(server, calls):
    sent = calls.embed(["a text"]).vectors
    server.floats = True
    np.testing.assert_array_equal(calls.embed(["a text"]).vectors, sent)


def test_only_vllm_is_asked_for_vectors_as_they_are(server, calls):
    calls.embed(["a text"])
    assert set(server.requests[0]) == {"model", "input", "encoding_format"}


@pytest.mark.parametrize("status", [0, 429, 500, 502, 503])
def test_a_server_that_is_busy_or_broken_for_a_moment_is_asked_again(server, calls, status):
    server.failures = [status] * 4
    assert calls.embed(["a text"]).vectors.shape == (1, DIMENSION)
    assert len(server.requests) == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 501])
def test_a_refusal_is_not_asked_again(server, calls, status):
    server.failures = [status] * 4
    with pytest.raises(EncoderError):
        calls.embed(["a text"])
    assert len(server.requests) == 1


def test_a_server_that_stays_broken_is_given_up_with_address_reason_and_hint(server, connect):
    calls = connect(attempts=3)
    server.failures = [503] * 9
    server.failing = ("out of memory", {})
    with pytest.raises(EncoderUnavailableError) as raised:
        calls.embed(["a text"])
    assert len(server.requests) == 3
    assert server.url in raised.value.message
    assert "out of memory (503), 3 times" in raised.value.cause
    assert "can be repeated" in raised.value.hint


def test_a_server_that_is_gone_is_named(server, connect):
    calls = connect(attempts=2)
    server.stop()
    with pytest.raises(EncoderUnavailableError, match=f"{server.url} does not answer") as raised:
        calls.embed(["a text"])
    assert "refused" in raised.value.cause


def test_a_server_that_says_nothing_is_given_up_in_time(server, connect):
    server.delay = 30
    calls = connect(timeout=0.1, attempts=2)
    start = time.monotonic()
    with pytest.raises(EncoderUnavailableError, match="timed out"):
        calls.embed(["a text"])
    assert time.monotonic() - start < 25


def test_the_wait_that_the_server_asks_for_is_kept(server, calls):
    server.failures = [429]
    server.failing = ("slow down", {"retry-after": "0.3"})
    start = time.monotonic()
    calls.embed(["a text"])
    assert time.monotonic() - start >= 0.3


def test_nothing_is_tried_again_once_the_call_is_stopped(server, connect):
    calls = connect(pause=60, attempts=9)
    server.failures = [503] * 9
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    start = time.monotonic()
    with pytest.raises(EncoderUnavailableError):
        calls.embed(["a text"], stop=stop)
    assert time.monotonic() - start < 25
    assert len(server.requests) < 9


def test_connections_are_opened_again_after_close_and_after_a_restart(server, calls):
    before = calls.embed(["a text"]).vectors
    calls.close()
    np.testing.assert_array_equal(calls.embed(["a text"]).vectors, before)
    server.stop()
    server.start()
    np.testing.assert_array_equal(calls.embed(["a text"]).vectors, before)


def test_the_right_key_opens_and_another_is_named_without_being_shown(server, connect):
    server.api_key = KEY
    assert connect(api_key=KEY).embed(["a text"]).vectors.shape == (1, DIMENSION)
    for key, cause in [("wrong-secret", "Unauthorized"), ("", "no key was sent")]:
        with pytest.raises(EncoderUnavailableError, match="refuses the key") as raised:
            connect(api_key=key).embed(["a text"])
        assert cause in raised.value.cause
        assert "api_key" in raised.value.hint
        assert "wrong-secret" not in str(raised.value)


def test_an_unknown_model_is_answered_by_those_that_are_served(server, connect):
    with pytest.raises(ModelMismatchError, match="no model 'other'") as raised:
        connect(model="other").embed(["a text"])
    assert server.model in raised.value.cause


def test_an_address_without_the_api_is_told(server, connect):
    calls = connect(url=f"http://127.0.0.1:{server.port}/elsewhere")
    with pytest.raises(EncoderUnavailableError, match="does not embed as OpenAI's API") as raised:
        calls.embed(["a text"])
    assert "/v1" in raised.value.hint


@pytest.mark.parametrize("spoilt", [float("nan"), float("inf"), 0.0])
def test_a_vector_without_a_direction_is_refused(server, calls, spoilt):
    def spoil(vectors):
        vectors[1] = spoilt
        return vectors

    server.change = spoil
    with pytest.raises(ModelMismatchError, match="not finite, or zero"):
        calls.embed(["a text", "another"])


@pytest.mark.parametrize(
    "number",
    [
        lambda _: 0,
        lambda at: at + 1,
        lambda at: -at,
        float,
        bool,
        str,
        lambda _: None,
    ],
)
def test_vectors_that_are_not_numbered_by_their_texts_are_refused(server, calls, number):
    server.number = number
    with pytest.raises(EncoderUnavailableError, match="not numbered from 0 to 2"):
        calls.embed(["a", "b", "c"])


def test_lone_surrogates_are_sent_as_unknown_characters(server, calls):
    calls.embed(["a\ud800", "\ud83d\ude00"])
    assert server.requests[-1]["input"] == ["a\ufffd", "\N{GRINNING FACE}"]


def test_an_answer_without_end_is_given_up(server, calls, monkeypatch):
    monkeypatch.setattr(embedding_server, "_LARGEST_ANSWER", 0)
    monkeypatch.setattr(embedding_server, "_LARGEST_VECTOR", 100)
    with pytest.raises(EncoderUnavailableError, match="the reply is larger than"):
        calls.embed(["a"])


def test_answers_with_too_few_vectors_are_refused(server, calls):
    server.change = lambda vectors: vectors[:1]
    with pytest.raises(EncoderUnavailableError, match="1 vectors for 2 texts"):
        calls.embed(["a text", "another"])


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 8192 tokens, however you requested 9000 tokens",
        "Invalid 'input': maximum context length is 8192 tokens.",
        "This model's maximum context length is 64 tokens. However, you requested 0 output tokens "
        "and your prompt contains at least 65 input tokens, for a total of at least 65 tokens.",
        "`inputs` must have less than 512 tokens. Given: 600",
        "input is too large to process. increase the physical batch size",
        "the request exceeds the available context size, try increasing it",
        "input (600 tokens) is too long",
    ],
)
def test_servers_say_in_many_words_that_a_text_is_too_long(server, calls, said):
    server.failures, server.failing = [400], (said, {})
    with pytest.raises(TextTooLongError) as raised:
        calls.embed(["a text"])
    assert said in raised.value.cause


@pytest.mark.parametrize(
    "said",
    [
        "Invalid value for 'encoding_format'",
        "This model does not support embeddings",
        "dimensions is not supported for this model",
        "invalid token in header",
    ],
)
def test_other_refusals_are_not_taken_for_long_texts(server, calls, said):
    server.failures, server.failing = [400], (said, {})
    with pytest.raises(EncoderUnavailableError, match="refused a request") as raised:
        calls.embed(["a text"])
    assert said in raised.value.cause


def test_tokens_are_those_of_the_server(server, calls):
    assert calls.max_length is None
    assert calls.tokenize("two words") == ids_of("two words")
    assert calls.tokenizes
    assert calls.max_length == server.max_length


def test_a_server_without_a_tokenizer_is_asked_once(server, calls):
    server.tokenizes = False
    assert calls.tokenize("two words") is None
    server.tokenizes = True
    assert calls.tokenize("two words") is None
    assert not calls.tokenizes


def test_a_server_in_trouble_is_not_taken_for_one_without_a_tokenizer(server, connect):
    calls = connect(attempts=2)
    server.tokenizer_failures = [503, 503]
    with pytest.raises(EncoderUnavailableError, match="does not answer"):
        calls.tokenize("two words")
    assert calls.tokenize("two words") == ids_of("two words")


def test_a_tokenizer_that_vanishes_is_an_error(server, calls):
    assert calls.tokenizes
    server.tokenizes = False
    with pytest.raises(EncoderUnavailableError, match="does not tokenize any more"):
        calls.tokenize("two words")


def test_the_end_token_is_known_where_the_server_tells(server, calls):
    assert calls.end_token() is None
    server.end_token = "<|end|>"
    assert calls.end_token() == "<|end|>"


def test_addresses_are_shown_without_their_password(connect):
    calls = connect(url="http://user:secret@127.0.0.1:9/v1/?key=secret", attempts=1)
    assert calls.address == "http://127.0.0.1:9/v1/"
    with pytest.raises(EncoderUnavailableError) as raised:
        calls.embed(["a text"])
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"url": "127.0.0.1:8000/v1"}, "http"),
        ({"url": "ftp://127.0.0.1/v1"}, "http"),
        ({"attempts": 0}, "attempts"),
        ({"timeout": 0}, "timeout"),
        ({"pause": 0}, "pause"),
        ({"api_key": "line\nfeed"}, "api_key"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        EmbeddingServer(**{"url": "http://127.0.0.1:9/v1", "model": "m", **arguments})
