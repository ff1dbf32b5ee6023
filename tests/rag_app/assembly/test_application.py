from typing import get_args

import pytest

from generation.llm_reader import LLMReader
from generation.quoting import QuotingReader
from rag_app.assembly import application as assembly
from rag_app.assembly import components
from rag_app.assembly.opening import open_service
from rag_app.assembly.pipelines import Pipelines
from rag_app.errors import SettingsError
from rag_app.service import QueryOptions
from rag_app.settings import (
    CondenserName,
    FusionName,
    ReaderName,
    RerankerName,
    RetrieverName,
    RewriterName,
    load_settings,
)
from retrieval.encoders.registry import built_in
from tests.rag_app.support import new_store, write


@pytest.fixture
def store(tmp_path):
    store = new_store(tmp_path / "shard")
    yield store
    store.close()


@pytest.fixture
def pipelines(settings, encoder):
    return Pipelines(settings, lambda _: encoder)


@pytest.mark.parametrize("name", get_args(RetrieverName))
async def test_every_retriever_that_settings_allow_can_be_made_and_asked(pipelines, store, name):
    made = pipelines(QueryOptions(retriever=name), store)
    found = await made.search("Anything?")
    assert found.hits == []
    assert next(s for s in found.trace.stages if s["stage"] == "retrieve")["kind"] == name


@pytest.mark.parametrize("name", get_args(FusionName))
def test_every_fusion_that_settings_allow_can_be_made(name):
    made = components.fusion(load_settings(overrides={"retrieval": {"fusion": name}}))
    assert made.fuse([("a", 2.0), ("b", 1.0)], [])[0][0] == "a"


@pytest.mark.parametrize("name", get_args(ReaderName))
async def test_every_reader_that_settings_allow_can_be_made(encoder, store, name):
    settings = load_settings(overrides={"llm": {"model": "m"}})
    pipelines = Pipelines(settings, lambda _: encoder)
    made = pipelines(QueryOptions(reader=name), store)
    kind = {"quote": QuotingReader, "llm": LLMReader}[name]
    assert isinstance(made._stages.reader, kind)
    await pipelines.close()


@pytest.mark.parametrize(
    ("stage", "made", "name"),
    [
        *(("condense", "condenser", name) for name in get_args(CondenserName)),
        *(("rewrite", "rewriter", name) for name in get_args(RewriterName)),
        *(("rerank", "reranker", name) for name in get_args(RerankerName)),
    ],
)
async def test_every_kind_of_the_other_stages_can_be_made(encoder, store, stage, made, name):
    settings = load_settings(overrides={"llm": {"model": "m"}, "rerank": {"llm": {"model": "n"}}})
    pipelines = Pipelines(settings, lambda *_: encoder)
    pipeline = pipelines(QueryOptions(**{stage: name}), store)
    expected = "llm" if (stage, name) == ("condense", "auto") else name
    assert getattr(pipeline._stages, made).name == expected
    await pipelines.close()


async def test_stages_share_clients_and_rewriters_keep_what_they_know(encoder, store):
    settings = load_settings(
        overrides={"llm": {"model": "m"}, "rerank": {"kind": "qwen", "llm": {"model": "n"}}}
    )
    pipelines = Pipelines(settings, lambda *_: encoder)
    chosen = QueryOptions(rewrite="llm", condense="llm", reader="llm")
    first, second = (pipelines(chosen, store)._stages for _ in range(2))
    assert first.rewriter is second.rewriter
    assert first.reranker is second.reranker
    assert first.rewriter._llm is first.condenser._llm is second.reader._llm
    assert first.reranker._llm.model == "n"
    assert (first.found, first.kept) == (100, 10), "a reranker is given more than it leaves"
    await pipelines.close()


@pytest.mark.parametrize("name", sorted(built_in()))
@pytest.mark.parametrize("backend", ["auto", "onnx", "transformers", "vllm", "openai"])
def test_every_encoder_of_the_registry_can_be_made_by_each_backend_it_names(
    name, backend, tmp_path
):
    row = built_in()[name]
    chosen = {"name": name, "backend": backend, "accept_license": True}
    settings = load_settings(overrides={"encoder": chosen, "storage": {"path": tmp_path}})
    if backend == "auto" or backend in row.backends:
        encoder = components.encoder(settings)
        assert encoder.row == row
        encoder.close()
    else:
        with pytest.raises(SettingsError, match=f"{name} cannot be run by {backend}"):
            components.encoder(settings)


def test_settings_reach_the_parts(tmp_path):
    settings = load_settings(
        overrides={
            "storage": {"path": tmp_path},
            "encoder": {"precision": "fp32", "workers": 3},
            "limits": {"file_mb": 1, "stream_mb": 2, "pages": 3, "seconds": 4, "memory_mb": 600},
            "bm25": {"language": "none", "k1": 0.9, "b": 0.4},
        }
    )
    encoder = components.encoder(settings)
    assert (encoder.precision, encoder.workers) == ("fp32", 3)
    limits = components.limits(settings)
    assert (limits.max_file_bytes, limits.max_stream_bytes) == (2**20, 2**21)
    assert (limits.max_pages, limits.seconds, limits.memory_bytes) == (3, 4, 600 * 2**20)
    terms = components.bm25(settings)
    assert (terms.k1, terms.b) == (0.9, 0.4)


@pytest.mark.parametrize(
    ("overrides", "part", "make"),
    [
        ({"encoder": {"name": "magic"}}, "minilm", components.encoder),
        ({"encoder": {"name": "magic"}}, "encoder.name = 'magic'", open_service),
        ({"bm25": {"language": "klingon"}}, "klingon", components.bm25),
    ],
)
def test_settings_that_no_part_can_be_made_from_are_named(overrides, part, make):
    with pytest.raises(SettingsError, match=part):
        make(load_settings(overrides=overrides))


def test_chunks_that_do_not_fit_together_are_named():
    settings = load_settings(overrides={"chunking": {"tokens": 16, "overlap": 16}})
    with pytest.raises(SettingsError, match=r"chunking.*overlap"):
        components.splitter(settings)


def test_a_reader_without_model_says_how_to_connect_one(pipelines, store):
    with pytest.raises(SettingsError, match=r"RAG_APP_LLM__MODEL"):
        pipelines(QueryOptions(reader="llm"), store)


def test_a_failed_start_gives_the_folder_back(settings, tmp_path):
    bad = {"storage": {"path": tmp_path}, "bm25": {"language": "klingon"}}
    with pytest.raises(SettingsError):
        assembly.open_application(load_settings(overrides=bad))
    good = load_settings(overrides={"storage": {"path": tmp_path}})
    _, ownership = assembly.open_application(good)
    ownership.release()


def test_chunks_are_counted_without_the_tokens_that_every_text_gets(settings):
    assert components.word_counter(settings)("two words") == 2


async def test_the_reference_retriever_follows_the_collection(application, tmp_path):
    options = QueryOptions(retriever="rank_bm25")
    texts = ["The lantern hangs.", "Boats leave.", "Trains arrive.", "Birds sing.", "Rain falls."]
    write(tmp_path / "in", {f"{number}.txt": text for number, text in enumerate(texts)})
    await application.ingest("c", [tmp_path / "in"])
    found = await application.search("c", "lantern", options)
    assert [hit.source for hit in found.hits] == ["0.txt"]
    await application.delete_document("c", "0.txt")
    assert (await application.search("c", "lantern", options)).hits == []
