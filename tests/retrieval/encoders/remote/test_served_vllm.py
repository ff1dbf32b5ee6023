"""The served encoder against real vLLM servers, and the vectors of ReasonIR's authors."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.encoders import golden
from retrieval.encoders.errors import ModelMismatchError, TextTooLongError
from retrieval.encoders.local.transformer import TransformersEncoder
from retrieval.encoders.registry import EncoderRow, row
from retrieval.encoders.remote.probing import probe
from retrieval.encoders.remote.served import ServedEncoder
from retrieval.encoders.remote.serving import serve_command
from tests.tiny_models import tiny_qwen
from tests.vllm_server import VllmServer, vllm_server

pytestmark = pytest.mark.slow

ROW = row("reasonir-8b").model_copy(update={"dimension": 128})
INSTRUCTIONS = {
    "query_bright": ROW.instructions["biology"],
    "query_math": ROW.instructions["theoremqa_theorems"],
    "document": None,
    "none": "",
}
LAST_TOKEN = EncoderRow(
    name="last-token",
    model_id="tests/tiny-qwen",
    dimension=64,
    query_length=2048,
    pooling="last",
    append_eos=True,
    causal=True,
    licence="Apache-2.0",
)
QUERY_LIKE = 9
"""The text that begins as a query does: without an instruction, the server takes it for one."""
Serve = Callable[..., ServedEncoder]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Makes encoders of a server, and closes them."""
    with ExitStack() as opened:

        def serve(server: VllmServer, **more: Any) -> ServedEncoder:
            encoder = ServedEncoder(more.pop("row", ROW), f"{server.url}/v1", **more)
            opened.callback(encoder.close)
            return encoder

        yield serve


@pytest.fixture(scope="module")
def texts(golden_reasonir: Path) -> list[str]:
    told = json.loads((golden_reasonir / "texts.json").read_text("utf-8"))
    found: list[str] = told["texts"]
    return found


@pytest.fixture(scope="module")
def local(golden_reasonir: Path) -> Iterator[TransformersEncoder]:
    """The same checkpoint in this process."""
    encoder = TransformersEncoder(ROW, golden_reasonir, passage_length=512)
    yield encoder
    encoder.close()


@pytest.fixture(scope="module")
def golden_file(local: TransformersEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `rag-app golden` makes it."""
    path = tmp_path_factory.mktemp("golden") / "reasonir.json"
    golden.make(local).save(path)
    return path


@pytest.fixture(scope="module")
def last_token_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[VllmServer, Path]]:
    """A model that needs an end token, which its tokenizer does not put; and its folder."""
    folder = tiny_qwen(tmp_path_factory.mktemp("tiny"))
    command = serve_command(LAST_TOKEN, str(folder))
    with vllm_server(command.argv, tmp_path_factory.mktemp("vllm")) as running:
        yield running, folder


@pytest.mark.parametrize(
    ("kind", "limit"),
    [*((kind, 512) for kind in INSTRUCTIONS), ("query_math", 8192), ("document", 8192)],
)
def test_vectors_are_those_of_the_authors_truncated_ones_too(
    reasonir_server: VllmServer, serve: Serve, golden_reasonir: Path, texts: list[str],
    kind: str, limit: int,
) -> None:  # fmt: skip
    encoder = serve(
        reasonir_server, instruction=INSTRUCTIONS[kind], passage_length=limit, query_length=limit
    )
    encode = encoder.encode_queries if kind.startswith("query") else encoder.encode_passages
    with np.load(golden_reasonir / "vectors.npz", allow_pickle=False) as authors:
        expected = authors[f"{kind}|{limit}|single"]
    together = encode(texts)
    alone = np.concatenate([encode([text]).vectors for text in texts])
    cosines = np.stack([golden.cosine(each, expected) for each in (together.vectors, alone)])
    if kind == "none":
        cosines = np.delete(cosines, QUERY_LIKE, axis=1)
    assert cosines.min() >= 0.99999
    assert (together.truncated > 0) == (limit == 512)
    assert max(together.tokens) <= limit


def test_tokens_and_truncation_are_those_of_the_local_encoder(
    reasonir_server: VllmServer, serve: Serve, local: TransformersEncoder, texts: list[str]
) -> None:
    encoder = serve(reasonir_server, passage_length=512)
    assert [encoder.count_tokens(text) for text in texts] == [
        local.count_tokens(text) for text in texts
    ]
    served, here = encoder.encode_passages(texts), local.encode_passages(texts)
    assert served.truncated == here.truncated
    assert sum(served.tokens) == sum(here.tokens)
    assert golden.cosine(served.vectors, here.vectors).min() >= 0.99999


def test_a_server_with_the_plugin_is_verified(
    reasonir_server: VllmServer, serve: Serve, local: TransformersEncoder, golden_file: Path
) -> None:
    encoder = serve(
        reasonir_server, passage_length=512, revision=local.revision, golden=golden_file
    )
    assert encoder.identity == local.identity
    assert "golden vectors agree (lowest cosine 1.00000)" in encoder.verify()
    assert "no golden vectors are set" in serve(reasonir_server).verify()


@pytest.mark.parametrize("kind", ["stock_server", "causal_server"])
def test_a_server_without_the_plugin_is_refused(
    serve: Serve, local: TransformersEncoder, golden_file: Path, kind: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    server = request.getfixturevalue(kind)
    encoder = serve(server, passage_length=512, revision=local.revision, golden=golden_file)
    with pytest.raises(ModelMismatchError, match="does not give its golden vectors"):
        golden.check(encoder, golden.load(golden_file))
    with pytest.raises(ModelMismatchError, match="the instruction decides"):
        encoder.verify()


def test_a_causal_server_is_refused_without_golden_vectors(
    causal_server: VllmServer, stock_server: VllmServer, serve: Serve
) -> None:
    bidirectional = ROW.model_copy(update={"pool_prefix": True})
    assert "no golden vectors are set" in serve(stock_server, row=bidirectional).verify()
    encoder = serve(causal_server, row=bidirectional)
    probe(encoder)  # sees nothing amiss in vectors of whole texts
    with pytest.raises(ModelMismatchError, match="attends causally"):
        encoder.verify()


def test_rows_without_normalisation_get_vectors_as_they_are(
    stock_server: VllmServer, serve: Serve
) -> None:
    raw = serve(stock_server, row=ROW.model_copy(update={"normalise": False}))
    vectors = raw.encode_passages(["one text", "another one"]).vectors
    lengths = np.linalg.norm(vectors, axis=1)
    assert (abs(lengths - 1) > 0.1).all()
    unit = serve(stock_server).encode_passages(["one text", "another one"]).vectors
    np.testing.assert_allclose(vectors / lengths[:, None], unit, atol=1e-6)


def test_lengths_that_the_server_does_not_read_are_told(
    reasonir_server: VllmServer, serve: Serve, texts: list[str]
) -> None:
    encoder = serve(reasonir_server, passage_length=20_000)
    with pytest.raises(TextTooLongError, match="reads 8192 tokens of a text, not 20000"):
        encoder.verify()
    with pytest.raises(TextTooLongError, match="cannot read a text whole") as raised:
        encoder.encode_passages([" ".join(texts) + " ".join(texts)])
    assert "8192" in raised.value.cause


def test_a_served_name_that_is_wrong_is_answered_by_the_right_one(
    reasonir_server: VllmServer, serve: Serve
) -> None:
    with pytest.raises(ModelMismatchError, match="no model 'another'") as raised:
        serve(reasonir_server, model="another").encode_query("a text")
    assert ROW.model_id in raised.value.cause


@pytest.mark.parametrize("words", [3, 300])
def test_an_end_token_is_put_last_as_the_local_encoder_does(
    last_token_server: tuple[VllmServer, Path], serve: Serve, words: int
) -> None:
    server, folder = last_token_server
    local = TransformersEncoder(LAST_TOKEN, folder, passage_length=64)
    served = serve(server, row=LAST_TOKEN, passage_length=64)
    text = " ".join(f"word {number}" for number in range(words))
    expected, found = local.encode_passages([text]), served.encode_passages([text])
    local.close()
    assert golden.cosine(found.vectors, expected.vectors).min() >= 0.99999
    assert (found.truncated, found.tokens) == (expected.truncated, expected.tokens)
    bare = serve(server, row=LAST_TOKEN.model_copy(update={"append_eos": False}))
    assert golden.cosine(bare.encode_passages([text]).vectors, expected.vectors).max() < 0.99
