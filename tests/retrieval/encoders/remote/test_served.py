import copy
import logging
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.encoders import golden
from retrieval.encoders.base import Vectors
from retrieval.encoders.errors import (
    EmptyTextError,
    EncoderUnavailableError,
    ModelMismatchError,
    TextTooLongError,
)
from retrieval.encoders.registry import EncoderRow
from retrieval.encoders.remote.served import ServedEncoder, _batches, _most_tokens, _shares
from tests.embeddings_server import (
    DIMENSION,
    END,
    EOS,
    KEY,
    EmbeddingsServer,
    embeddings_server,
    ids_of,
    vector_of,
)

__all__ = ["embeddings_server"]

ROW = EncoderRow(
    name="pairs",
    model_id="tests/pairs",
    dimension=DIMENSION,
    passage_length=40,
    query_length=60,
    query_template="query {instruction} : {text}",
    document_template="passage : {text}",
    instruction="find it",
    pooling="mean",
    causal=True,
    licence="Apache-2.0",
)
PASSAGE, QUERY = "passage : ", "query find it : "
LONG = " ".join(f"w{number}" for number in range(100))
Serve = Callable[..., ServedEncoder]


@pytest.fixture
def server(embeddings_server: EmbeddingsServer) -> EmbeddingsServer:
    embeddings_server.reset()
    return embeddings_server.start()


@pytest.fixture
def serve(server: EmbeddingsServer) -> Iterator[Serve]:
    """Makes encoders of the server, and closes them."""
    with ExitStack() as opened:

        def serve(row: EncoderRow = ROW, **more: Any) -> ServedEncoder:
            encoder = ServedEncoder(row, more.pop("url", server.url), **{"attempts": 2, **more})
            opened.callback(encoder.close)
            return encoder

        yield serve


def unit(prompts: Sequence[Sequence[int]]) -> Vectors:
    vectors = np.stack([vector_of(ids) for ids in prompts])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_vectors_are_those_of_prefix_and_text_in_the_order_of_the_texts(server, serve):
    texts = ["the first", "a second text", "third"]
    encoded = serve().encode_passages(texts)
    np.testing.assert_allclose(
        encoded.vectors, unit([ids_of(PASSAGE + text) for text in texts]), atol=1e-6
    )
    assert encoded.vectors.dtype == np.float32
    assert encoded.truncated == 0
    np.testing.assert_allclose(
        serve().encode_queries(texts).vectors, unit([ids_of(QUERY + text) for text in texts]),
        atol=1e-6,
    )  # fmt: skip
    assert server.inputs[:3] == [PASSAGE + text for text in texts]


def test_several_requests_are_in_flight_and_the_order_is_kept(server, serve):
    server.delay = 0.05
    texts = [f"text number {number}" for number in range(50)]
    progress: list[int] = []
    encoded = serve(batch_texts=5, concurrency=3).encode_passages(texts, progress.append)
    np.testing.assert_allclose(
        encoded.vectors, unit([ids_of(PASSAGE + text) for text in texts]), atol=1e-6
    )
    assert [len(body["input"]) for body in server.requests] == [5] * 10
    assert server.most_at_once == 3
    assert progress == [5] * 10


def test_nothing_is_asked_for_no_texts(server, serve):
    assert serve().encode_passages([]).vectors.shape == (0, DIMENSION)
    assert server.requests == []


def test_long_texts_make_small_requests(server, serve):
    row = ROW.model_copy(update={"passage_length": 30_000})
    server.max_length = 30_000
    serve(row).encode_passages(["word " * 12_000] * 5)  # 60 kB: 15 000 tokens by estimate
    assert sorted(len(body["input"]) for body in server.requests) == [1, 2, 2]


def test_blank_texts_are_refused_before_any_call(server, serve):
    with pytest.raises(EmptyTextError):
        serve().encode_passages(["a text", " \n"])
    assert server.requests == []


def test_a_text_at_the_limit_is_whole_and_one_token_more_is_cut(server, serve):
    for words, cut in [(38, 0), (39, 1), (90, 1)]:
        text = " ".join(LONG.split()[: words - 1])
        ids = ids_of(PASSAGE + text)
        encoded = serve().encode_passages([text, "short"])
        assert encoded.truncated == cut
        assert encoded.tokens == [min(len(ids), 40), 4]
        np.testing.assert_allclose(encoded.vectors[0], unit([ids[:40]])[0], atol=1e-6)


def test_special_tokens_stay_last_when_a_text_is_cut(server, serve):
    server.ends = True
    encoded = serve().encode_passages([LONG])
    assert encoded.truncated == 1
    assert server.inputs == [[*ids_of(PASSAGE + LONG)[:39], EOS]]


@pytest.mark.parametrize("text", ["short", LONG])
def test_an_end_token_is_put_where_the_row_wants_one_and_the_tokenizer_has_none(
    server, serve, text
):
    server.end_token = END
    encoder = serve(ROW.model_copy(update={"append_eos": True}))
    encoded = encoder.encode_passages([text])
    ids = ids_of(PASSAGE + text)
    np.testing.assert_allclose(encoded.vectors, unit([[*ids[:39], EOS]]), atol=1e-6)
    assert encoder.count_tokens(text) == len(ids) + 1


def test_a_second_end_token_is_not_put(server, serve):
    server.ends, server.end_token = True, END
    encoder = serve(ROW.model_copy(update={"append_eos": True}))
    encoded = encoder.encode_passages(["short"])
    np.testing.assert_allclose(
        encoded.vectors, unit([ids_of(PASSAGE + "short", ends=True)]), atol=1e-6
    )


def test_an_end_token_that_nobody_tells_is_an_error(server, serve):
    with pytest.raises(EncoderUnavailableError, match="needs an end token") as raised:
        serve(ROW.model_copy(update={"append_eos": True})).encode_passages(["short"])
    assert "--enable-tokenizer-info-endpoint" in raised.value.hint
    assert server.requests == []


def test_short_texts_are_not_tokenized(server, serve):
    serve().encode_passages(["ten bytes."] * 20)
    assert server.tokenized == []


def test_an_instruction_longer_than_the_limit_is_refused(serve):
    with pytest.raises(TextTooLongError, match="the instruction alone"):
        serve(instruction="find " * 80).encode_queries(["a text"])


def test_queries_that_are_cut_are_logged(serve, caplog):
    with caplog.at_level(logging.WARNING):
        assert serve().encode_queries([LONG]).truncated == 1
    assert "1 of 1 queries are longer than 60 tokens" in caplog.text


def test_without_a_tokenizer_texts_are_cut_until_the_server_takes_them(server, serve, caplog):
    server.tokenizes, server.max_length = False, 40
    encoder = serve()
    with caplog.at_level(logging.WARNING):
        encoded = encoder.encode_passages(["short", LONG, "also short", LONG])
    assert encoded.truncated == 2
    assert len(caplog.records) == 1
    sent = server.inputs[-1]
    assert (PASSAGE + LONG).startswith(sent)
    assert 30 <= len(ids_of(sent)) <= 40
    np.testing.assert_allclose(encoded.vectors[1], unit([ids_of(sent)])[0], atol=1e-6)
    np.testing.assert_allclose(encoded.vectors[0], unit([ids_of(PASSAGE + "short")])[0], atol=1e-6)
    np.testing.assert_array_equal(encoded.vectors[1], encoded.vectors[3])
    assert sum(encoded.tokens) == sum(
        len(ids_of(text)) for text in [PASSAGE + "short", sent, PASSAGE + "also short", sent]
    )


@pytest.mark.parametrize("tokenizes", [True, False])
def test_a_server_that_reads_less_than_is_asked_is_named(server, serve, tokenizes):
    server.tokenizes, server.max_length = tokenizes, 5
    with pytest.raises(TextTooLongError, match="cannot read a text whole") as raised:
        serve().encode_passages(["some seven words for a short text"])
    assert "--max-model-len" in raised.value.hint


def test_counting_uses_the_tokenizer_or_four_bytes_a_token(server, serve):
    assert serve().count_tokens("two words") == len(ids_of(PASSAGE + "two words"))
    server.tokenizes = False
    assert serve().count_tokens("x" * 30) == (len(PASSAGE) + 30) / 4


def test_tokens_of_a_request_add_up_to_what_the_server_counted(server, serve):
    texts = [f"{'word ' * number}end" for number in range(20)]
    encoded = serve().encode_passages(texts)
    assert sum(encoded.tokens) == sum(len(ids_of(PASSAGE + text)) for text in texts)
    assert min(encoded.tokens) >= 1


def test_vectors_of_rows_without_normalisation_are_left_as_they_are(server, serve):
    row = ROW.model_copy(update={"normalise": False})
    encoded = serve(row).encode_passages(["the first"])
    np.testing.assert_array_equal(encoded.vectors[0], vector_of(ids_of(PASSAGE + "the first")))


def test_another_dimension_is_refused_at_the_first_vectors(server, serve):
    row = ROW.model_copy(update={"dimension": 48})
    with pytest.raises(ModelMismatchError, match="gave 32 dimensions, not 48") as raised:
        serve(row).encode_passages(["a text"])
    assert "another model than tests/pairs" in raised.value.cause


def test_the_first_error_ends_a_call(server, serve):
    server.failures = [400] * 100
    texts = [f"text {number}" for number in range(100)]
    with pytest.raises(EncoderUnavailableError, match="refused a request"):
        serve(batch_texts=1, concurrency=2).encode_passages(texts)
    assert len(server.requests) < 20
    assert not any("ThreadPool" in thread.name for thread in threading.enumerate())


def test_a_server_that_goes_away_in_the_middle_is_waited_for(server, serve):
    encoder = serve(batch_texts=5, concurrency=2, attempts=8)
    texts = [f"text number {number}" for number in range(50)]
    expected = encoder.encode_passages(texts).vectors
    server.stop_after = len(server.requests) + 4

    def bring_back() -> None:
        while server.accepting:
            gone.wait(0.01)
        server.stop_after = None
        server.start()

    gone = threading.Event()
    repair = threading.Thread(target=bring_back)
    repair.start()
    encoded = encoder.encode_passages(texts)
    repair.join()
    np.testing.assert_array_equal(encoded.vectors, expected)


def test_copies_and_other_processes_get_the_settings_only(server, serve):
    server.api_key = KEY
    encoder = serve(api_key=KEY, instruction="look", passage_length=20, batch_texts=7, revision="r")
    vectors = encoder.encode_passages(["a text"]).vectors
    for other in (ForkingPickler.loads(ForkingPickler.dumps(encoder)), copy.deepcopy(encoder)):
        assert (other.identity, other.batch_texts) == (encoder.identity, 7)
        np.testing.assert_array_equal(other.encode_passages(["a text"]).vectors, vectors)
        other.close()
    assert KEY not in repr(encoder)
    assert KEY not in str(encoder.to_dict())


def test_threads_may_share_an_encoder(server, serve):
    encoder = serve(batch_texts=3)
    texts = [f"text number {number}" for number in range(30)]
    expected = unit([ids_of(PASSAGE + text) for text in texts])
    found: list[Vectors] = []
    threads = [
        threading.Thread(target=lambda: found.append(encoder.encode_passages(texts).vectors))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for vectors in found:
        np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_the_identity_does_not_tell_where_the_model_runs(serve):
    encoder = serve(revision="abc")
    assert encoder.identity["revision"] == "abc"
    assert encoder.identity["max_length"] == 40
    assert not any("127.0.0.1" in str(value) for value in encoder.identity.values())


def test_a_sound_server_is_verified_and_golden_vectors_are_asked_for(server, serve):
    found = serve().verify()
    assert f"tests/pairs at {server.url}, 32 dimensions" in found
    assert "no golden vectors are set" in found
    assert "rag-app golden" in found


def test_lengths_that_hold_no_long_instruction_are_verified_without_one(serve):
    assert ROW.query_length < 256
    assert "32 dimensions" in serve(ROW.model_copy(update={"pool_prefix": False})).verify()


def test_golden_vectors_are_compared(server, serve, tmp_path):
    path = tmp_path / "golden.json"
    golden.make(serve()).save(path)
    assert "golden vectors agree (lowest cosine 1.00000)" in serve(golden=path).verify()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(DIMENSION, DIMENSION)))[0]
    server.change = lambda vectors: (vectors @ turn).astype(np.float32)
    serve().verify()  # all that can be told without them is as it should be
    with pytest.raises(ModelMismatchError, match="does not give its golden vectors"):
        serve(golden=path).verify()


def test_a_server_that_reads_less_than_the_lengths_is_not_verified(server, serve):
    server.max_length = 59
    with pytest.raises(TextTooLongError, match="reads 59 tokens of a text, not 60"):
        serve().verify()


def test_a_causal_server_of_a_bidirectional_row_is_not_verified(server, serve):
    with pytest.raises(ModelMismatchError, match="attends causally"):
        serve(ROW.model_copy(update={"causal": False})).verify()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"url": "no address"}, "http"),
        ({"batch_texts": 0}, "batch_texts"),
        ({"batch_texts": 2049}, "batch_texts"),
        ({"concurrency": 0}, "concurrency"),
        ({"attempts": 0}, "attempts"),
        ({"timeout": -1}, "timeout"),
        ({"passage_length": 0}, "passage_length"),
    ],
)
def test_arguments_out_of_range_are_refused(serve, arguments, match):
    with pytest.raises(ValueError, match=match):
        serve(**arguments)


@given(st.lists(st.integers(1, 40_000)), st.integers(1, 9))
def test_batches_hold_everything_once_and_keep_the_limits(sizes, most):
    batches = list(_batches(sizes, most))
    assert [at for batch in batches for at in batch] == list(range(len(sizes)))
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or sum(sizes[at] for at in batch) <= 32_768


@given(st.integers(0, 10**7), st.lists(st.integers(1, 10_000), min_size=1))
def test_shares_add_up_and_are_near_their_proportion(total, sizes):
    shares = _shares(total, sizes)
    assert sum(shares) == total
    for share, size in zip(shares, sizes, strict=True):
        assert abs(share - total * size / sum(sizes)) <= 1


@given(st.text())
def test_no_normal_form_has_more_bytes_than_are_reckoned_with(text):
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert len(unicodedata.normalize(form, text).encode("utf-8")) < _most_tokens(text)
