"""The bundled encoder against sentence-transformers' vectors, and its promises."""

import copy
import json
import threading
from collections.abc import Callable
from itertools import islice
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

from retrieval.encoders.errors import EmptyTextError, ModelMismatchError
from retrieval.encoders.minilm import MiniLMEmbedding
from retrieval.encoders.minilm_graph import model_folder

GOLDEN = json.loads(Path(__file__).with_name("golden_minilm.json").read_text(encoding="utf-8"))
TEXTS = [item["text"] for item in GOLDEN["texts"]]
VECTORS = np.array([item["vector"] for item in GOLDEN["texts"]], np.float32)


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def int8(cache_dir: Path) -> MiniLMEmbedding:
    return MiniLMEmbedding(cache_dir)


@pytest.fixture(scope="module")
def fp32(cache_dir: Path) -> MiniLMEmbedding:
    return MiniLMEmbedding(cache_dir, precision="fp32")


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> list[str]:
    """160 texts of four kinds, 3 to 600 words."""
    texts: list[str] = []
    for name in ("scifact", "cranfield", "entailmentbank", "xquad_en"):
        with (shared_data / "beir" / name / "corpus.jsonl").open(encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in islice(lines, 40)]
    return [text for text in texts if text.strip()]


def test_fp32_gives_the_reference_vectors(fp32: MiniLMEmbedding) -> None:
    encoded = fp32.encode_passages(TEXTS)
    assert encoded.vectors.dtype == np.float32
    assert np.abs(encoded.vectors - VECTORS).max() <= 1e-5


def test_int8_points_the_same_way_as_the_reference(int8: MiniLMEmbedding) -> None:
    cosines = (int8.encode_passages(TEXTS).vectors * VECTORS).sum(axis=1)
    assert cosines.mean() >= 0.99
    assert cosines.min() >= 0.97


def test_int8_agrees_with_fp32_on_real_text(
    int8: MiniLMEmbedding,
    fp32: MiniLMEmbedding,
    corpus: list[str],
    record_property: Callable[[str, object], None],
) -> None:
    assert len(corpus) >= 140
    cosines = (int8.encode_passages(corpus).vectors * fp32.encode_passages(corpus).vectors).sum(1)
    record_property("cosine_mean", float(cosines.mean()))
    record_property("cosine_min", float(cosines.min()))
    # 0.996 where the processor multiplies bytes exactly (VNNI), 0.994 where AVX2's sums saturate.
    assert cosines.mean() >= 0.993
    assert cosines.min() >= 0.98


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_vector_does_not_depend_on_the_other_texts(
    precision: str, request: pytest.FixtureRequest
) -> None:
    encoder: MiniLMEmbedding = request.getfixturevalue(precision)
    alone = np.stack([encoder.encode_passages([text]).vectors[0] for text in TEXTS])
    together = encoder.encode_passages(TEXTS * 2).vectors
    assert np.array_equal(together, np.concatenate([alone, alone]))
    queries = np.stack([encoder.encode_query(text) for text in TEXTS])
    assert np.array_equal(queries, alone)  # MiniLM has no template of its own for queries


def test_workers_do_not_change_order_or_vectors(cache_dir: Path, int8: MiniLMEmbedding) -> None:
    texts = [f"{text} {number}" for number in range(6) for text in TEXTS]
    one = MiniLMEmbedding(cache_dir, workers=1).encode_passages(texts)
    many = MiniLMEmbedding(cache_dir, workers=5).encode_passages(texts)
    assert np.array_equal(one.vectors, many.vectors)
    assert one.tokens == many.tokens
    alone = int8.encode_passages(texts[13:14])
    assert np.array_equal(alone.vectors[0], many.vectors[13])


def test_concurrent_first_calls_share_one_network(cache_dir: Path, int8: MiniLMEmbedding) -> None:
    encoder = MiniLMEmbedding(cache_dir, workers=2)
    start = threading.Barrier(4)
    results: list[np.ndarray] = []

    def encode() -> None:
        start.wait()
        results.append(encoder.encode_passages(TEXTS).vectors)

    threads = [threading.Thread(target=encode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = int8.encode_passages(TEXTS).vectors
    assert len(results) == 4
    assert all(np.array_equal(result, expected) for result in results)


def test_tokens_are_counted_before_and_truncation_after(int8: MiniLMEmbedding) -> None:
    full = [item["tokens"] for item in GOLDEN["texts"]]
    assert [int8.count_tokens(text) for text in TEXTS] == full
    encoded = int8.encode_passages(TEXTS)
    assert encoded.tokens == [min(tokens, 256) for tokens in full]
    assert encoded.truncated == sum(tokens > 256 for tokens in full) == 1


def test_a_text_of_exactly_the_maximum_is_not_cut(cache_dir: Path) -> None:
    text = TEXTS[2]
    tokens = MiniLMEmbedding(cache_dir).count_tokens(text)
    assert MiniLMEmbedding(cache_dir, max_length=tokens).encode_passages([text]).truncated == 0
    assert MiniLMEmbedding(cache_dir, max_length=tokens - 1).encode_passages([text]).truncated == 1


def test_words_beyond_the_maximum_do_not_change_the_vector(int8: MiniLMEmbedding) -> None:
    long = "tide " * 300
    vectors = int8.encode_passages([long, long + "and something else"]).vectors
    assert np.array_equal(vectors[0], vectors[1])


def test_vectors_have_unit_length(int8: MiniLMEmbedding) -> None:
    lengths = np.linalg.norm(int8.encode_passages(TEXTS).vectors, axis=1)
    assert np.allclose(lengths, 1, atol=1e-6)


def test_empty_texts_are_refused(int8: MiniLMEmbedding) -> None:
    with pytest.raises(EmptyTextError, match="text 2 of 2"):
        int8.encode_passages(["a", "  "])
    with pytest.raises(EmptyTextError):
        int8.encode_query("\n")


def test_no_texts_give_no_vectors(int8: MiniLMEmbedding) -> None:
    encoded = int8.encode_passages([])
    assert encoded.vectors.shape == (0, 384)
    assert (encoded.tokens, encoded.truncated) == ([], 0)


def test_a_changed_tokenizer_is_refused(tmp_path: Path) -> None:
    content = (model_folder() / "tokenizer.json").read_text(encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text(content + " ", encoding="utf-8")
    encoder = MiniLMEmbedding(tmp_path / "cache", model_dir=tmp_path)
    with pytest.raises(ModelMismatchError, match=r"tokenizer.json.*--force-reinstall"):
        encoder.encode_passages(["a", "b"])


def test_a_damaged_cached_graph_is_built_anew(tmp_path: Path) -> None:
    first = MiniLMEmbedding(tmp_path)
    expected = first.encode_query("tide")
    (graph,) = tmp_path.iterdir()
    graph.write_bytes(graph.read_bytes()[:1000])
    assert np.array_equal(MiniLMEmbedding(tmp_path).encode_query("tide"), expected)


def test_a_closed_encoder_opens_again(cache_dir: Path) -> None:
    threads = set(threading.enumerate())
    encoder = MiniLMEmbedding(cache_dir, workers=2)
    before = encoder.encode_passages(TEXTS[:2]).vectors
    assert set(threading.enumerate()) > threads
    encoder.close()
    encoder.close()
    assert set(threading.enumerate()) == threads
    assert np.array_equal(encoder.encode_passages(TEXTS[:2]).vectors, before)
    encoder.close()


def test_an_open_encoder_can_be_copied_and_sent_to_another_process(int8: MiniLMEmbedding) -> None:
    expected = int8.encode_query("tide")
    sent = ForkingPickler.loads(ForkingPickler.dumps(int8))
    for twin in (copy.deepcopy(int8), sent):
        assert twin.identity == int8.identity
        assert np.array_equal(twin.encode_query("tide"), expected)


def test_making_an_encoder_does_no_work(tmp_path: Path) -> None:
    MiniLMEmbedding(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"precision": "fp16"}, "int8, fp32"),
        ({"workers": -1}, "0 .one per core. or more"),
        ({"max_length": 2}, "3 to 512"),
        ({"max_length": 513}, "3 to 512"),
    ],
)
def test_a_bad_argument_names_the_allowed_values(
    tmp_path: Path, change: dict[str, object], allowed: str
) -> None:
    with pytest.raises(ValueError, match=allowed):
        MiniLMEmbedding(tmp_path, **change)  # type: ignore[arg-type]


def test_identity_changes_with_what_changes_vectors(tmp_path: Path) -> None:
    plain = MiniLMEmbedding(tmp_path).identity
    assert plain["precision"] == "int8"
    assert MiniLMEmbedding(tmp_path, precision="fp32").identity != plain
    assert MiniLMEmbedding(tmp_path, max_length=128).identity != plain
    assert MiniLMEmbedding(tmp_path / "other", workers=7).identity == plain
    assert json.loads(json.dumps(plain)) == plain


def test_it_survives_as_a_dictionary_and_as_a_copy(tmp_path) -> None:
    model = MiniLMEmbedding(tmp_path, "fp32", workers=1, max_length=128)
    plain = json.loads(json.dumps(model.to_dict()))
    for other in (MiniLMEmbedding.from_dict(plain), copy.deepcopy(model)):
        assert (other.identity, other.workers, other.cache_dir) == (model.identity, 1, tmp_path)
