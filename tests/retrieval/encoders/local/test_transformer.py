"""Rows on stock transformers: exact against float64, alike in every batch, and plain in failure."""

import copy
import logging
import shutil
import socket
import threading
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from retrieval.encoders.base import Vectors
from retrieval.encoders.errors import (
    EmptyTextError,
    ModelMismatchError,
    ModelMissingError,
    TextTooLongError,
)
from retrieval.encoders.local.tokenising import Tokeniser
from retrieval.encoders.local.transformer import TransformersEncoder
from retrieval.encoders.minilm_graph import model_folder
from retrieval.encoders.registry import EncoderRow, built_in
from tests.llama_reference import LlamaReference
from tests.tiny_models import tiny_llama, tiny_qwen

REASONIR = built_in()["reasonir-8b"]
INSTRUCTION = "Given a post, find passages that help"
TEXTS = ["a", "  leading blanks", "\nA newline first.", "Grüße, 数学 🙂", "What is entropy?"] + [
    " ".join(f"word{(7 * at) % 31}" for at in range(n)) for n in range(1, 60)
]


def encoder(folder: Path, row: EncoderRow = REASONIR, **given: Any) -> TransformersEncoder:
    return TransformersEncoder(row, folder, device="cpu", **given)


def reference(
    folder: Path, texts: list[str], prefix: str, limit: int, *, causal: bool = False
) -> np.ndarray[Any, Any]:
    model = LlamaReference(folder)
    tokens = Tokeniser(folder, pool_prefix=False).tokenise(texts, prefix, limit)
    return np.array([model.vector(one.ids, one.start, causal=causal) for one in tokens])


def furthest(one: Vectors, other: Any) -> float:
    return float(np.abs(one - other).max())


def on_forward(model: TransformersEncoder, hook: Callable[[dict[str, Any]], None]) -> None:
    """Call `hook` with the arguments of each forward pass."""
    network, _ = model._open()
    network.model.register_forward_pre_hook(
        lambda _module, _positional, named: hook(named), with_kwargs=True
    )


@pytest.fixture(scope="module")
def shared(tiny_reasonir: Path) -> TransformersEncoder:
    return encoder(tiny_reasonir, instruction=INSTRUCTION)


@pytest.fixture(scope="module")
def alone(shared: TransformersEncoder) -> Vectors:
    """The vector of each text by itself."""
    return np.concatenate([shared.encode_passages([text]).vectors for text in TEXTS])


# --- exactness ---------------------------------------------------------------------------------


@pytest.mark.parametrize("instruction", [INSTRUCTION, ""])
@pytest.mark.parametrize("batch_tokens", [1, 200, 16_384])
def test_vectors_are_those_of_the_formula(
    tiny_reasonir: Path, instruction: str, batch_tokens: int
) -> None:
    model = encoder(tiny_reasonir, instruction=instruction, batch_tokens=batch_tokens)
    query, passage = REASONIR.query_prefix(instruction), REASONIR.passage_prefix(instruction)
    queries = model.encode_queries(TEXTS).vectors
    passages = model.encode_passages(TEXTS).vectors
    assert furthest(queries, reference(tiny_reasonir, TEXTS, query, 8192)) <= 1e-5
    assert furthest(passages, reference(tiny_reasonir, TEXTS, passage, 2048)) <= 1e-5


def test_long_texts_have_the_vectors_of_the_formula(tiny_reasonir: Path) -> None:
    texts = ["word " * n for n in (300, 900, 3000)]
    encoded = encoder(tiny_reasonir).encode_passages(texts)
    expected = reference(tiny_reasonir, texts, REASONIR.passage_prefix(), 2048)
    assert furthest(encoded.vectors, expected) <= 1e-5
    assert encoded.tokens[2] == 2048
    assert encoded.truncated == 1


def test_each_wrong_way_to_pool_or_attend_gives_clearly_other_vectors(
    tiny_reasonir: Path, tmp_path: Path, shared: TransformersEncoder
) -> None:
    texts = TEXTS[:20]
    right = shared.encode_queries(texts).vectors
    prefix = REASONIR.query_prefix(INSTRUCTION)
    tokens = Tokeniser(tiny_reasonir, pool_prefix=False).tokenise(texts, prefix, 8192)
    formula = LlamaReference(tiny_reasonir)
    no_bos = Tokeniser(tiny_llama(tmp_path, bos=False), pool_prefix=False)
    wrong = {
        "causal mask": reference(tiny_reasonir, texts, prefix, 8192, causal=True),
        "instruction pooled": [formula.vector(one.ids, 0) for one in tokens],
        "last token": [formula.vector(one.ids, len(one.ids) - 1) for one in tokens],
        "no start token": [
            formula.vector(one.ids, one.start) for one in no_bos.tokenise(texts, prefix, 8192)
        ],
        "template of passages": reference(tiny_reasonir, texts, REASONIR.passage_prefix(), 8192),
        "template without newline": reference(tiny_reasonir, texts, prefix[:-1], 8192),
    }
    for name, vectors in wrong.items():
        assert (right * np.array(vectors)).sum(axis=1).min() < 0.999, name
        assert furthest(right, vectors) > 1e-3, name


def test_a_model_that_runs_causally_is_refused_at_the_first_text(
    tiny_reasonir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaConfig

    # What a transformers that knows no such field does: it says nothing, and runs causally.
    monkeypatch.setattr(LlamaConfig, "is_causal", property(lambda _: True, lambda *_: None), False)
    with pytest.raises(ModelMismatchError, match="its attention is causal"):
        encoder(tiny_reasonir).encode_query("text")


def test_a_tokenizer_without_start_token_is_refused_at_the_first_text(tmp_path: Path) -> None:
    with pytest.raises(ModelMismatchError, match="no start token"):
        encoder(tiny_llama(tmp_path, bos=False)).encode_query("text")


def test_minilm_gives_the_vectors_of_sentence_transformers() -> None:
    judge = SentenceTransformer(str(model_folder()), device="cpu", local_files_only=True)
    texts = [*TEXTS[::3], "a text beyond two hundred and fifty-six tokens " * 40]
    ours = encoder(model_folder(), built_in()["minilm"]).encode_passages(texts)
    judge.max_seq_length = 256
    theirs = judge.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    assert furthest(ours.vectors, theirs) <= 1e-5
    assert ours.truncated == 1


@pytest.mark.parametrize("by_tokenizer", [False, True])
def test_last_token_rows_pool_the_end_of_text(tmp_path: Path, by_tokenizer: bool) -> None:
    row = REASONIR.model_copy(
        update={"causal": True, "pooling": "last", "pool_prefix": True, "append_eos": True}
    )
    folder = tiny_qwen(tmp_path, eos=by_tokenizer)
    model = encoder(folder, row, instruction=INSTRUCTION)
    vectors = model.encode_queries(TEXTS).vectors
    network, _ = model._open()
    plain = Tokeniser(folder)
    for text, vector in zip(TEXTS, vectors, strict=True):
        (tokens,) = plain.tokenise([row.query_prefix(INSTRUCTION) + text], "", 8192)
        ids = tokens.ids if by_tokenizer else [*tokens.ids, 1]
        state = network.states([ids])[0][-1].numpy()
        assert furthest(vector, state / np.linalg.norm(state)) <= 1e-5


def test_cls_rows_pool_the_first_token(tiny_two_way: Path) -> None:
    row = REASONIR.model_copy(update={"pooling": "cls", "pool_prefix": True, "query_length": 512})
    model = encoder(tiny_two_way, row, instruction="", passage_length=512)
    network, tokeniser = model._open()
    state = network.states([tokeniser.tokenise(["text"], "", 99)[0].ids])[0][0].numpy()
    assert furthest(model.encode_query("text"), state / np.linalg.norm(state)) <= 1e-5


def test_rows_that_are_not_normalised_keep_their_length(tiny_reasonir: Path) -> None:
    row = REASONIR.model_copy(update={"normalise": False})
    vectors = encoder(tiny_reasonir, row).encode_passages(TEXTS[:3]).vectors
    assert (np.abs(np.linalg.norm(vectors, axis=1) - 1) > 0.1).all()


# --- batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 7, 64])
def test_a_vector_does_not_depend_on_its_batch(
    shared: TransformersEncoder, alone: Vectors, size: int
) -> None:
    parts = [shared.encode_passages(TEXTS[at : at + size]) for at in range(0, len(TEXTS), size)]
    assert furthest(np.concatenate([part.vectors for part in parts]), alone) <= 1e-5


def test_bfloat16_vectors_hardly_depend_on_their_batch(tiny_reasonir: Path) -> None:
    model = encoder(tiny_reasonir, dtype="bfloat16")
    together = model.encode_passages(TEXTS).vectors
    each = np.concatenate([model.encode_passages([text]).vectors for text in TEXTS])
    assert furthest(together, each) <= 5e-3
    exact = encoder(tiny_reasonir).encode_passages(TEXTS).vectors
    assert (together * exact).sum(axis=1).min() >= 0.999


def test_more_texts_than_a_window_come_back_in_order_with_their_tokens(
    shared: TransformersEncoder, monkeypatch: pytest.MonkeyPatch, alone: Vectors
) -> None:
    monkeypatch.setattr("retrieval.encoders.local.transformer._WINDOW", 5)
    done: list[int] = []
    encoded = shared.encode_passages(TEXTS, done.append)
    assert furthest(encoded.vectors, alone) <= 1e-5
    assert encoded.tokens == [shared.count_tokens(text) for text in TEXTS]
    assert sum(done) == len(TEXTS)
    assert len(done) > 10


def test_batches_keep_to_their_tokens(tiny_reasonir: Path) -> None:
    model = encoder(tiny_reasonir, batch_tokens=256)
    sizes: list[int] = []
    on_forward(model, lambda named: sizes.append(named["input_ids"].numel()))
    model.encode_passages(TEXTS)
    assert max(sizes) <= 256 < sum(sizes)


def test_a_batch_beyond_memory_is_halved_and_so_are_later_ones(
    tiny_reasonir: Path, alone: Vectors, caplog: pytest.LogCaptureFixture
) -> None:
    model = encoder(tiny_reasonir, batch_tokens=1024)
    sizes: list[int] = []

    def fail_above(named: dict[str, Any]) -> None:
        sizes.append(named["input_ids"].numel())
        if sizes[-1] > 300:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    on_forward(model, fail_above)
    with caplog.at_level(logging.WARNING):
        encoded = model.encode_passages(TEXTS)
    assert furthest(encoded.vectors, alone) <= 1e-5
    assert sum(size > 300 for size in sizes) == 2
    assert "did not fit into memory and is halved" in caplog.text


def test_the_allocator_of_the_processor_counts_as_memory(
    tiny_reasonir: Path, alone: Vectors
) -> None:
    model = encoder(tiny_reasonir)

    def fail_above(named: dict[str, Any]) -> None:
        if named["input_ids"].numel() > 1000:
            torch.empty(1 << 50, dtype=torch.uint8)

    on_forward(model, fail_above)
    assert furthest(model.encode_passages(TEXTS).vectors, alone) <= 1e-5


def test_one_text_beyond_memory_is_refused_with_its_tokens(tiny_reasonir: Path) -> None:
    model = encoder(tiny_reasonir)

    def fail(_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    on_forward(model, fail)
    with pytest.raises(TextTooLongError, match=r"a text of \d+ tokens does not fit .* cpu"):
        model.encode_passages(TEXTS)


def test_other_errors_of_a_pass_are_not_taken_for_memory(tiny_reasonir: Path) -> None:
    model = encoder(tiny_reasonir)

    def fail(_: object) -> None:
        raise RuntimeError("a kernel failed")

    on_forward(model, fail)
    with pytest.raises(RuntimeError, match="a kernel failed"):
        model.encode_passages(TEXTS)


def test_threads_may_share_an_encoder(shared: TransformersEncoder, alone: Vectors) -> None:
    results: list[Vectors] = []
    threads = [
        threading.Thread(target=lambda: results.append(shared.encode_passages(TEXTS).vectors))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [furthest(vectors, alone) <= 1e-5 for vectors in results] == [True] * 4


# --- texts, files and arguments ----------------------------------------------------------------


def test_cuts_are_counted_and_a_cut_query_is_reported(
    tiny_reasonir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = encoder(tiny_reasonir, passage_length=32, query_length=64)
    encoded = model.encode_passages(TEXTS)
    assert max(encoded.tokens) == 32
    assert encoded.truncated == sum(model.count_tokens(text) > 32 for text in TEXTS) > 10
    model.encode_query(TEXTS[-1])
    assert "1 of 1 queries are longer than 64 tokens and were cut" in caplog.text


def test_empty_texts_are_refused_and_no_texts_are_fine(shared: TransformersEncoder) -> None:
    with pytest.raises(EmptyTextError, match="text 2 of 2"):
        shared.encode_passages(["a", " \n"])
    assert shared.encode_passages([]).vectors.shape == (0, 64)


def test_an_instruction_without_room_for_text_is_refused(tiny_reasonir: Path) -> None:
    model = encoder(tiny_reasonir, instruction="word " * 50, query_length=40)
    with pytest.raises(TextTooLongError, match="leaves no room"):
        model.encode_query("text")


def test_counting_needs_no_weights(tiny_reasonir: Path) -> None:
    model = encoder(tiny_reasonir)
    assert model.count_tokens("text") == len(
        Tokeniser(tiny_reasonir).tokenise(["text"], "<|embed|>\n", 99)[0].ids
    )
    assert model._network is None


def test_a_closed_encoder_opens_again(tiny_reasonir: Path, alone: Vectors) -> None:
    model = encoder(tiny_reasonir)
    for _ in range(2):
        assert furthest(model.encode_passages(TEXTS[:3]).vectors, alone[:3]) <= 1e-5
        model.close()
        assert model._network is None


def test_copies_and_other_processes_get_the_arguments(tiny_reasonir: Path) -> None:
    model = encoder(tiny_reasonir, instruction="", passage_length=77)
    model.encode_query("text")
    there = ForkingPickler.loads(ForkingPickler.dumps(model))
    for other in (copy.deepcopy(model), there):
        assert other.identity == model.identity
        assert other.instruction == ""
        assert other._network is None
        assert np.array_equal(other.encode_query("text"), model.encode_query("text"))


def test_nothing_is_asked_of_a_network(
    tiny_reasonir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a network was asked")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert encoder(tiny_reasonir).encode_query("text").shape == (64,)


def test_the_dimension_and_identity_of_a_folder_are_its_own(
    tiny_reasonir: Path, tmp_path: Path
) -> None:
    model = encoder(tiny_reasonir)
    assert model.dimension == model.identity["dimension"] == 64
    assert str(model.identity["revision"]).startswith("local:")
    moved = shutil.copytree(tiny_reasonir, tmp_path / "elsewhere")
    assert encoder(moved).fingerprint == model.fingerprint
    assert encoder(tiny_llama(tmp_path / "other", seed=1)).fingerprint != model.fingerprint


def test_the_identity_of_a_hub_id_is_the_pinned_revision() -> None:
    assert TransformersEncoder(REASONIR).identity["revision"] == REASONIR.revision
    assert TransformersEncoder(REASONIR, revision="abc").identity["revision"] == "abc"
    other = TransformersEncoder(REASONIR, "owner/model", revision="abc")
    assert other.identity["revision"] == "owner/model@abc"


def test_a_hub_model_of_another_dimension_is_refused(
    tiny_reasonir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "0123456789" * 4
    shutil.copytree(tiny_reasonir, tmp_path / "models--owner--model" / "snapshots" / commit)
    model = TransformersEncoder(REASONIR, "owner/model", revision=commit)
    with pytest.raises(ModelMismatchError, match=r"64 dimensions, and row reasonir-8b says 4096"):
        model.encode_query("text")


def test_lengths_beyond_a_table_of_positions_are_refused(tiny_two_way: Path) -> None:
    with pytest.raises(ModelMismatchError, match=r"cannot read 8192 tokens: it has 512 positions"):
        encoder(tiny_two_way).encode_query("text")


def test_a_folder_that_does_not_exist_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="does not exist"):
        encoder(tmp_path / "absent")


@pytest.mark.parametrize(
    "given",
    [{"device": "tpu"}, {"dtype": "int8"}, {"batch_tokens": 0}, {"passage_length": 0}],
    ids=str,
)
def test_arguments_out_of_range_are_named_with_what_is_allowed(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{next(iter(given))} is .*; allowed: "):
        TransformersEncoder(REASONIR, **given)
