import pytest

from rag_app.assembly.encoders import LicenceNotAccepted, choose
from rag_app.probes.encoder import address, encoder
from rag_app.settings import Settings, override
from retrieval.encoders.errors import EncoderUnavailableError, ModelMismatchError
from tests.embeddings_server import DIMENSION, EmbeddingsServer, embeddings_server
from tests.rag_app.probes.servers import closed_port, hanging

__all__ = ["embeddings_server"]

ROW = {
    "model_id": "tests/pairs",
    "dimension": DIMENSION,
    "pooling": "mean",
    "causal": True,
    "licence": "MIT",
}


@pytest.fixture
def server(embeddings_server: EmbeddingsServer) -> EmbeddingsServer:
    embeddings_server.reset()
    return embeddings_server.start()


def served(settings: Settings, url: str, row: dict | None = None, **run) -> Settings:
    """With the encoder behind an address."""
    named = {"row": {**ROW, **(row or {})}, "backend": "vllm", "url": url, **run}
    return override(settings, {"encoder": {"name": "pairs"}, "encoders": {"pairs": named}})


def test_the_bundled_encoder_tells_how_it_runs(settings):
    found = encoder(settings, 5)
    assert "all-MiniLM-L6-v2, 384 dimensions; onnx on cpu, int8, a query " in found
    assert found.endswith("licence Apache-2.0")
    assert address(choose(settings)) == ""


def test_a_served_encoder_is_held_to_its_row(settings, server):
    there = served(settings, server.url)
    found = encoder(there, 5)
    assert f"tests/pairs at {server.url}, {DIMENSION} dimensions" in found
    assert "; vllm, a query " in found
    assert found.endswith("licence MIT")
    assert len(server.requests) > 1
    assert address(choose(there)) == server.url


def test_a_server_that_is_down_is_given_up_at_once(settings):
    url = f"http://127.0.0.1:{closed_port()}/v1"
    with pytest.raises(EncoderUnavailableError, match="does not answer") as error:
        encoder(served(settings, url), 5)
    assert url in error.value.message


def test_a_server_that_hangs_is_given_up(settings):
    with hanging() as port, pytest.raises(EncoderUnavailableError, match="does not answer"):
        encoder(served(settings, f"http://127.0.0.1:{port}/v1"), 0.1)


def test_a_busy_server_is_asked_once(settings, server):
    server.failures = [503, 503, 503]
    with pytest.raises(EncoderUnavailableError):
        encoder(served(settings, server.url), 5)
    assert len(server.requests) == 1


def test_another_model_is_told(settings, server):
    server.model = "other"
    with pytest.raises(ModelMismatchError) as error:
        encoder(served(settings, server.url), 5)
    assert "other" in str(error.value)


def test_another_dimension_is_told(settings, server):
    with pytest.raises(ModelMismatchError, match=f"gave {DIMENSION} dimensions, not 7"):
        encoder(served(settings, server.url, {"dimension": 7}), 5)


def test_a_wrong_key_is_told_and_not_shown(settings, server):
    server.api_key = "right-key"
    with pytest.raises(EncoderUnavailableError, match="refuses the key") as error:
        encoder(served(settings, server.url, api_key="wrong-key"), 5)
    assert "-key" not in str(error.value)


def test_a_licence_that_nobody_accepted_is_told(settings, server):
    with pytest.raises(LicenceNotAccepted, match="MIT"):
        encoder(served(settings, server.url, {"restricted": True}), 5)
    assert server.requests == []
