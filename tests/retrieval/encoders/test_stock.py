"""Any LlamaIndex embedding as an encoder."""

import numpy as np
import pytest
from llama_index.core.embeddings import MockEmbedding

from retrieval.encoders.errors import EmptyTextError, ModelMismatchError
from retrieval.encoders.stock import StockEncoder, as_encoder
from tests.encoders import HashingEncoder


def test_its_vectors_are_those_of_the_embedding():
    stock = MockEmbedding(embed_dim=5)
    encoder = as_encoder(stock)
    assert encoder.dimension == 5
    encoded = encoder.encode_passages(["a", "longer text"])
    np.testing.assert_array_equal(encoded.vectors, stock.get_text_embedding_batch(["a", "b"]))
    assert encoded.vectors.dtype == np.float32
    assert len(encoded.tokens) == 2
    assert encoder.encode_query("a").tolist() == stock.get_query_embedding("a")
    assert encoder.encode_passages([]).vectors.shape == (0, 5)


def test_its_identity_tells_embeddings_apart():
    one, same, other = (
        as_encoder(MockEmbedding(embed_dim=5, model_name=name)) for name in ("a", "a", "b")
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_an_encoder_stays_as_it_is():
    encoder = HashingEncoder()
    assert as_encoder(encoder) is encoder


def test_empty_texts_and_other_dimensions_are_refused():
    encoder = StockEncoder(MockEmbedding(embed_dim=5), dimension=6)
    with pytest.raises(ModelMismatchError, match="one vector of 6 numbers"):
        encoder.encode_passages(["a"])
    with pytest.raises(EmptyTextError):
        encoder.encode_queries([" "])
