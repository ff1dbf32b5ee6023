"""What hinders parts of the pipeline, told before they are tried."""

from rag_app.assembly import availability
from rag_app.settings import override


def test_what_needs_a_language_model_says_so_until_there_is_one(settings):
    for name in ("qwen", "rank1", "retro-star"):
        assert "language model" in availability.reranker_obstacle(settings, name)
    assert "language model" in availability.rewriter_obstacle(settings, "llm")
    with_model = override(settings, {"llm": {"model": "m"}})
    assert availability.reranker_obstacle(with_model, "qwen") == ""
    assert availability.rewriter_obstacle(with_model, "llm") == ""
    assert availability.reranker_obstacle(settings, "none") == ""
    assert availability.rewriter_obstacle(settings, "none") == ""


def test_a_cross_encoder_needs_a_model_or_a_server(settings):
    assert "rerank.url" in availability.reranker_obstacle(settings, "cross-encoder")
    served = override(settings, {"rerank": {"url": "http://127.0.0.1:9/rerank"}})
    assert availability.reranker_obstacle(served, "cross-encoder") == ""


def test_encoders_say_what_they_lack(settings, monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert availability.encoder_obstacle(settings, "minilm") == ""
    assert availability.encoder_obstacle(settings, "qwen3-embedding-0.6b") == "is not downloaded"
    assert "licence" in availability.encoder_obstacle(settings, "reasonir-8b")
    assert "server" in availability.encoder_obstacle(settings, "openai-3-large")
    assert "not valid" in availability.encoder_obstacle(settings, "nobody")
    monkeypatch.setattr(availability, "find_spec", lambda _: None)
    lacking = availability.encoder_obstacle(settings, "qwen3-embedding-0.6b")
    assert lacking == "needs rag-app[reasonir]"
    local = override(settings, {"encoders": {"qwen3-embedding-0.6b": {"model": str(tmp_path)}}})
    monkeypatch.undo()
    assert availability.encoder_obstacle(local, "qwen3-embedding-0.6b") == ""
