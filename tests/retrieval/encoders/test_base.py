"""What every encoder owes to LlamaIndex and to the application, on a tiny encoder of letters."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.schema import TextNode

from retrieval.encoders.base import Encoded, Encoder, Identity, fill, refuse_empty
from retrieval.encoders.errors import EmptyTextError
from retrieval.encoders.registry import built_in


class Letters(Encoder):
    """Counts a to z; queries count double, so that a mix-up of the two shows."""

    @property
    def identity(self) -> Identity:
        return {"encoder": "letters"}

    def count_tokens(self, text: str) -> int:
        return len(text)

    def encode_passages(self, texts: Sequence[str]) -> Encoded:
        refuse_empty(texts)
        vectors = [[text.count(chr(97 + at)) for at in range(26)] for text in texts]
        return Encoded(np.array(vectors, np.float32), [len(text) for text in texts], 0)

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        passages = self.encode_passages(texts)
        return passages._replace(vectors=passages.vectors * 2)


@pytest.fixture
def letters() -> Letters:
    own = built_in()["minilm"].model_copy(update={"name": "letters", "dimension": 26})
    return Letters(row=own)


def test_llama_index_gets_the_vectors_of_passages_as_lists(letters: Letters) -> None:
    assert letters.get_text_embedding("abba")[:3] == [2.0, 2.0, 0.0]
    assert [v[0] for v in letters.get_text_embedding_batch(["a", "b", "aa"])] == [1.0, 0.0, 2.0]


def test_llama_index_gets_the_vector_of_a_query_from_the_query_path(letters: Letters) -> None:
    assert letters.get_query_embedding("abba")[:3] == [4.0, 4.0, 0.0]


async def test_the_async_twins_give_the_same_vectors(letters: Letters) -> None:
    assert await letters.aget_text_embedding("ab") == letters.get_text_embedding("ab")
    assert await letters.aget_query_embedding("ab") == letters.get_query_embedding("ab")
    batch = await letters.aget_text_embedding_batch(["ab", "c"])
    assert batch == letters.get_text_embedding_batch(["ab", "c"])


def test_an_encoder_is_a_step_of_a_llama_index_pipeline(letters: Letters) -> None:
    (node,) = letters([TextNode(text="abc")])
    assert node.embedding is not None
    assert node.embedding[:4] == [1.0, 1.0, 1.0, 0.0]


def test_dimension_and_cost_follow_the_row(letters: Letters) -> None:
    assert letters.dimension == 26
    assert letters.flops(10) == 2 * letters.row.parameters * 10


def test_the_first_empty_text_is_named() -> None:
    with pytest.raises(EmptyTextError, match=r"text 2 of 3 .*empty.*Leave it out"):
        refuse_empty(["a", " \n\t", ""])


@given(st.text())
def test_a_text_fills_its_template_unchanged(text: str) -> None:
    assert fill("{text}", text) == text
    assert fill("Query: {text} {end}", text) == f"Query: {text} {{end}}"
