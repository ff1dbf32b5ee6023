"""ReasonIREmbedding gives the vectors that the authors' own code gave."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from llama_index.core.schema import TextNode

from retrieval.encoders.base import Encoded
from retrieval.encoders.local.reasonir import ReasonIREmbedding
from retrieval.encoders.local.transformer import TransformersEncoder
from retrieval.encoders.registry import built_in

ROW = built_in()["reasonir-8b"]
KEYS = [
    f"{name}|{limit}|{mode}"
    for name in ("query_bright", "query_math", "document", "none")
    for limit in (512, 8192)
    for mode in ("batch", "single")
]


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> Path:
    return shared_data / "golden_reasonir"


def instruction(prefix: str) -> str:
    """The instruction whose query template is `prefix`."""
    before, after = ROW.query_template.removesuffix("{text}").split("{instruction}")
    return prefix.removeprefix(before).removesuffix(after)


@pytest.mark.parametrize("key", KEYS)
def test_vectors_are_the_authors(golden: Path, key: str) -> None:
    name, limit, mode = key.split("|")
    given = json.loads((golden / "texts.json").read_text("utf-8"))
    texts, prefix = given["texts"], given["instructions"][name]
    as_query = name.startswith("query")
    model = ReasonIREmbedding(
        golden,
        device="cpu",
        instruction=instruction(prefix) if as_query else None if prefix else "",
        passage_length=int(limit),
        query_length=int(limit),
    )
    encode = model.encode_queries if as_query else model.encode_passages
    parts: list[Encoded] = (
        [encode(texts)] if mode == "batch" else [encode([text]) for text in texts]
    )
    vectors = np.concatenate([part.vectors for part in parts])
    with np.load(golden / "vectors.npz", allow_pickle=False) as authors:
        assert set(authors.files) == set(KEYS)
        assert np.abs(vectors - authors[key]).max() <= 1e-5
    cut = sum(part.truncated for part in parts)
    assert cut > 0 if limit == "512" else cut == 0


def test_the_row_is_fixed_and_the_weights_are_pinned() -> None:
    model = ReasonIREmbedding()
    assert model.row == ROW
    assert model.identity["revision"] == ROW.revision
    assert model.dimension == 4096


def test_it_serves_llama_index(tiny_reasonir: Path) -> None:
    model = ReasonIREmbedding(tiny_reasonir, device="cpu")
    (node,) = model([TextNode(text="A passage.")])
    assert np.allclose(node.embedding, model.encode_passages(["A passage."]).vectors[0], atol=1e-6)
    query = model.get_query_embedding("A passage.")
    assert np.allclose(query, model.encode_query("A passage."), atol=1e-6)
    assert not np.allclose(query, node.embedding, atol=1e-3)


def test_it_survives_as_a_dictionary(tiny_reasonir: Path) -> None:
    model = ReasonIREmbedding(tiny_reasonir, device="cpu", instruction="Find it")
    told = json.loads(json.dumps(model.to_dict()))
    other = ReasonIREmbedding.from_dict(told)
    assert type(other) is ReasonIREmbedding
    assert (other.identity, other.instruction) == (model.identity, "Find it")
    plain = TransformersEncoder(ROW, tiny_reasonir, device="cpu")
    told = json.loads(json.dumps(plain.to_dict()))
    assert TransformersEncoder.from_dict(told).identity == plain.identity


def test_a_copy_has_the_same_arguments(tiny_reasonir: Path) -> None:
    model = ReasonIREmbedding(tiny_reasonir, device="cpu", instruction="Find it")
    other = copy.deepcopy(model)
    assert type(other) is ReasonIREmbedding
    assert other.identity == model.identity
    assert other.instruction == "Find it"
