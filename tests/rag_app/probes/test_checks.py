import pytest

from rag_app.probes.checks import (
    WEIGHTS,
    encoder_check,
    model_checks,
    qdrant_check,
    quoting_check,
    storage_check,
    unused,
)
from rag_app.settings import Settings, override

LLM = {"api_base": "http://me:word@reader:8000/v1", "model": "m"}


def models(settings: Settings) -> dict[str, str]:
    return {check.role: check.address for check in model_checks(settings, 2)}


def test_stages_that_are_off_are_not_tried(settings):
    assert models(settings) == {}
    assert unused(settings) == ["rewriter", "reranker", "ray"]
    assert [check.role for check in quoting_check(settings)] == ["reader"]


def test_every_stage_is_tried_at_its_own_address_which_holds_no_credentials(settings):
    chosen = override(
        settings,
        {
            "llm": LLM,
            "ingest": {"engine": "ray"},
            "condense": {"kind": "llm"},
            "rewrite": {"kind": "llm", "llm": {"api_base": "http://rewriter:8000/v1"}},
            "rerank": {"kind": "cross-encoder", "url": "http://reranker:8002/v1"},
            "reader": {"kind": "llm"},
        },
    )
    assert models(chosen) == {
        "condenser": "http://reader:8000/v1",
        "rewriter": "http://rewriter:8000/v1",
        "reranker": "http://reranker:8002/v1",
        "reader": "http://reader:8000/v1",
    }
    assert unused(chosen) == []
    assert list(quoting_check(chosen)) == []


def test_a_server_of_vectors_is_named_and_an_embedded_store_has_no_address(settings):
    assert qdrant_check(settings, 2).address == ""
    server = {"engine": "server", "url": "http://qdrant:6333"}
    assert qdrant_check(override(settings, {"storage": server}), 2).address == "http://qdrant:6333"
    assert storage_check(settings, 2).seconds == 2


@pytest.mark.parametrize(
    ("run", "address", "seconds"),
    [
        ({}, "", WEIGHTS),
        ({"name": "contriever", "backend": "transformers"}, "", WEIGHTS),
        ({"name": "diver-4b", "backend": "vllm", "url": "http://e:1/v1"}, "http://e:1/v1", 2),
    ],
)
def test_only_weights_of_this_process_get_longer_than_the_deadline(settings, run, address, seconds):
    check = encoder_check(override(settings, {"encoder": run}), 2)
    assert (check.address, check.seconds) == (address, seconds)


async def test_the_quoting_reader_says_that_there_is_no_model(settings):
    (check,) = quoting_check(settings)
    assert "no language model" in await check.run()
