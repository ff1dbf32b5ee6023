"""Every wrong way to run a row must be refused that can be, and no right one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from retrieval.encoders.base import Encoded, Vectors
from retrieval.encoders.errors import ModelMismatchError
from retrieval.encoders.minilm import MiniLMEmbedding
from retrieval.encoders.prompted import PromptedEncoder
from retrieval.encoders.registry import EncoderRow, built_in
from retrieval.encoders.remote.probing import SENTENCE, probe, refuse_causal
from tests.llama_reference import LlamaReference
from tests.tiny_models import tiny_llama

REASONIR = built_in()["reasonir-8b"].model_copy(update={"dimension": 64})


class Variant(PromptedEncoder):
    """A tiny Llama from the formulas, run rightly or wrongly.

    `pool` makes a vector of the states of a prompt, [tokens, dimension], and the number of tokens
    of its prefix; `change` is done to the vectors of a call.
    """

    model: Any = None
    tokenizer: Any = None
    causal: bool = False
    pool: Any = None
    change: Any = None

    def __init__(
        self,
        folder: Path,
        *,
        row: EncoderRow = REASONIR,
        causal: bool = False,
        pool: Callable[[Any, int], Any] = lambda states, start: states[start:].mean(axis=0),
        change: Callable[[Vectors], Vectors] = lambda vectors: vectors,
    ) -> None:
        super().__init__(
            model_name=row.model_id, row=row, model=LlamaReference(folder),
            tokenizer=Tokenizer.from_file(str(folder / "tokenizer.json")), causal=causal, pool=pool,
            change=change, passage_length=2048, query_length=2048,
        )  # fmt: skip

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids

    def count_tokens(self, text: str) -> int:
        return len(self.ids(text))

    def _encode(
        self, texts: Sequence[str], prefix: str, limit: int, on_encoded: Any = None
    ) -> Encoded:
        start = len(self.ids(prefix)) if prefix else 0
        found = [
            self.pool(self.model.states(self.ids(prefix + text), causal=self.causal), start)
            for text in texts
        ]
        vectors = np.array([vector / np.linalg.norm(vector) for vector in found], np.float32)
        return Encoded(self.change(vectors), [0] * len(texts), 0)


@pytest.fixture(scope="module", params=[0, 1, 2])
def folder(request, tmp_path_factory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("tiny"), seed=request.param)


def means(folder: Path, *, causal: bool) -> Vectors:
    """Of the first 1, 2, 3, ... tokens of a sentence, as long as they are."""
    variant = Variant(folder)
    ids = variant.ids(SENTENCE)
    rows = [variant.model.states(ids[:end], causal=causal) for end in range(1, len(ids) + 1)]
    return np.array([states.mean(axis=0) for states in rows], np.float32)


def test_the_right_way_to_run_reasonir_passes(folder):
    probe(Variant(folder))
    refuse_causal(Variant(folder), means(folder, causal=False))


def test_a_trained_model_passes(tmp_path):
    encoder = MiniLMEmbedding(tmp_path)
    probe(encoder)
    encoder.close()


def test_rows_that_pool_everything_pass(folder):
    row = REASONIR.model_copy(update={"pool_prefix": True})
    probe(Variant(folder, row=row, pool=lambda states, _: states.mean(axis=0)))


def test_rows_that_pool_the_last_token_pass(folder):
    row = REASONIR.model_copy(update={"pool_prefix": True, "pooling": "last", "causal": True})
    probe(Variant(folder, row=row, causal=True, pool=lambda states, _: states[-1]))


@pytest.mark.parametrize("causal", [True, False])
def test_the_last_token_instead_of_the_mean_is_refused(folder, causal):
    with pytest.raises(ModelMismatchError, match="does not pool the mean"):
        probe(Variant(folder, causal=causal, pool=lambda states, _: states[-1]))


@pytest.mark.parametrize("causal", [True, False])
def test_an_instruction_in_the_mean_is_refused(folder, causal):
    with pytest.raises(ModelMismatchError, match="the instruction decides"):
        probe(Variant(folder, causal=causal, pool=lambda states, _: states.mean(axis=0)))


def test_causal_attention_is_refused(folder):
    with pytest.raises(ModelMismatchError, match="attends causally") as raised:
        refuse_causal(Variant(folder), means(folder, causal=True))
    assert "serve-command" in raised.value.hint


def test_a_vector_that_depends_on_its_batch_is_refused(folder):
    def shifted(vectors: Vectors) -> Vectors:
        return np.roll(vectors, 1, axis=0)

    with pytest.raises(ModelMismatchError, match="another vector among others than alone"):
        probe(Variant(folder, change=shifted))


def test_a_model_that_knows_no_order_is_refused(folder):
    class Bag:
        def states(self, ids: list[int], *, causal: bool) -> Any:
            return np.array([np.random.default_rng(token).normal(size=64) for token in ids])

    encoder = Variant(folder)
    encoder.model = Bag()
    with pytest.raises(ModelMismatchError, match="another of the same words"):
        probe(encoder)


def test_a_server_that_drops_templates_is_refused(folder):
    class Bare(Variant):
        def _encode(self, texts: Sequence[str], prefix: str, *more: Any) -> Encoded:
            return super()._encode(texts, "", *more)

    with pytest.raises(ModelMismatchError, match="a query and a passage of the same words"):
        probe(Bare(folder))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda vectors: vectors[:, :32], "gives 32 dimensions, not 64"),
        (lambda vectors: vectors * np.float32(np.nan), "not finite"),
        (lambda vectors: vectors * np.float32(2), "not of unit length"),
    ],
)
def test_malformed_vectors_are_refused(folder, change, match):
    with pytest.raises(ModelMismatchError, match=match):
        probe(Variant(folder, change=change))


def test_rows_without_normalisation_may_have_any_length(folder):
    row = REASONIR.model_copy(update={"normalise": False})
    probe(Variant(folder, row=row, change=lambda vectors: vectors * np.float32(7)))
