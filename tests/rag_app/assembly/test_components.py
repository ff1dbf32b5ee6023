"""Anyone's LlamaIndex components, named by their paths in settings."""

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.schema import NodeWithScore
from pydantic import ValidationError

from rag_app.assembly import application as assembly
from rag_app.assembly import components
from rag_app.errors import SettingsError
from rag_app.service import QueryOptions
from rag_app.settings import load_settings
from tests.rag_app.support import write

TEXTS = {
    "boats.txt": "The ferry leaves at nine. It carries forty cars.",
    "birds.txt": "A heron stands in the reeds. It waits for fish.",
}


class FirstPassages(BaseRetriever):
    """Finds the passages that were stored first, whatever is asked."""

    def __init__(self, nodes, similarity_top_k, least=0.0):
        super().__init__()
        self._found = [NodeWithScore(node=node, score=0.5) for node in nodes[:similarity_top_k]]
        self._least = least

    def _retrieve(self, query_bundle):
        return [hit for hit in self._found if hit.score >= self._least]


PATH = f"{FirstPassages.__module__}:FirstPassages"


@pytest.fixture
async def opened(tmp_path, monkeypatch):
    """Opens the application with settings, and ingests two documents."""
    applications = []

    async def make(config):
        file = tmp_path / "settings.toml"
        file.write_text(config)
        settings = load_settings(file, overrides={"storage": {"path": tmp_path / "storage"}})
        application, _ = assembly.open_application(settings)
        applications.append(application)
        report = await application.ingest("c", [write(tmp_path / "in", TEXTS)])
        assert not report.failures
        return application

    yield make
    for application in applications:
        await application.close()


async def test_a_stock_embedding_and_splitter_index_and_find(opened):
    application = await opened(
        '[encoder]\nname = "llama_index.core:MockEmbedding"\noptions = {embed_dim = 8}\n'
        '[chunking]\nsplitter = "llama_index.core.node_parser:TokenTextSplitter"\n'
        "options = {chunk_size = 6, chunk_overlap = 0}\n"
    )
    found = await application.search("c", "ferry", QueryOptions(retriever="dense", top_k=50))
    (index,) = await application.indexes("c")
    assert (index.encoder, index.usable) == ("llama_index.core:MockEmbedding", True)
    own = TokenTextSplitter(chunk_size=6, chunk_overlap=0)
    expected = sorted(piece for text in TEXTS.values() for piece in own.split_text(text))
    assert sorted(hit.text for hit in found.hits) == expected
    for hit in found.hits:
        assert TEXTS[hit.source][hit.char_start : hit.char_end] == hit.text


async def test_a_retriever_of_the_users_finds(opened):
    application = await opened(f'[retrieval]\nretriever = "{PATH}"\n')
    found = await application.search("c", "anything", QueryOptions(top_k=1))
    assert [hit.score for hit in found.hits] == [0.5]
    assert next(s for s in found.trace.stages if s["stage"] == "retrieve")["kind"] == PATH
    await application.delete_document("c", found.hits[0].source)
    again = await application.search("c", "anything", QueryOptions(top_k=5))
    assert {hit.source for hit in again.hits} == set(TEXTS) - {found.hits[0].source}
    only = await application.search("c", "anything", QueryOptions(sources=("none.txt",)))
    assert only.hits == []


async def test_a_stock_postprocessor_reranks(opened):
    application = await opened(
        '[rerank]\nkind = "llama_index.core.postprocessor:SimilarityPostprocessor"\n'
        "options = {similarity_cutoff = 10.0}\n"
    )
    found = await application.search("c", "Who waits for fish?")
    assert found.hits == []
    as_is = await application.search("c", "Who waits for fish?", QueryOptions(rerank="none"))
    assert "birds.txt" in {hit.source for hit in as_is.hits}


class Chatterbox(CustomLLM):
    """Writes much, and tells no more of its limits than LlamaIndex's defaults."""

    @property
    def metadata(self):
        return LLMMetadata(model_name="chatterbox")

    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text="Herons wait. " * 700)

    def stream_complete(self, prompt, formatted=False, **kwargs):
        text = ""
        for _ in range(700):
            text += "Herons wait. "
            yield CompletionResponse(text=text, delta="Herons wait. ")


@pytest.mark.parametrize(
    ("model", "begin", "end", "length"),
    [
        # the stock model repeats its prompt
        ("llama_index.core.llms:MockLLM", "system: You answer", "assistant: ", 1_000),
        (f"{Chatterbox.__module__}:Chatterbox", "Herons wait. ", "Herons wait. ", 9_100),
    ],
)
async def test_a_stock_model_reads_and_is_not_cut(opened, model, begin, end, length):
    application = await opened(f'[reader]\nkind = "{model}"\n')
    events = [event async for event in application.ask("c", "Who waits for fish?")]
    answer = events[-1]
    assert not answer.truncated
    assert answer.text.startswith(begin)
    assert answer.text.rstrip().endswith(end.rstrip())
    assert len(answer.text) >= length - 1


@pytest.mark.parametrize(
    "options",
    [
        {"rerank": "llama_index.core.postprocessor:KeywordNodePostprocessor"},
        {"retriever": "os:system"},
        {"reader": "llama_index.core.llms:MockLLM"},
        {"rewrite": "os:system"},
        {"fusion": "os:system"},
        {"condense": "os:system"},
        {"encoder": "llama_index.core:MockEmbedding"},
    ],
)
def test_no_request_names_a_class(options):
    with pytest.raises(ValidationError):
        QueryOptions(**options)


async def test_an_encoder_is_a_class_where_the_settings_say_so_alone(tmp_path):
    settings = load_settings(overrides={"storage": {"path": tmp_path}})
    with pytest.raises(SettingsError, match="MockEmbedding"):
        components.encoder(settings, "llama_index.core:MockEmbedding")


@pytest.mark.parametrize(
    ("section", "cause"),
    [
        ({"kind": "no_such_package_here:Class"}, "no_such_package_here"),
        ({"kind": "llama_index.core.postprocessor:NoSuchClass"}, "NoSuchClass"),
        ({"kind": "os:getcwd"}, "it is no class"),
        ({"kind": f"{__name__}:FirstPassages"}, "nodes"),
    ],
)
def test_a_class_that_cannot_be_made_is_named_with_the_reason(section, cause):
    settings = load_settings(overrides={"rerank": section})
    with pytest.raises(SettingsError, match=cause):
        components.reranker(settings, components.Clients())


def test_neither_a_row_nor_a_path_is_refused_with_what_is_allowed():
    with pytest.raises(SettingsError, match=r"rerank\.kind = 'qwn' .*'qwen'.*package\.module"):
        load_settings(overrides={"rerank": {"kind": "qwn"}})


def test_secrets_among_the_options_are_masked():
    options = {"api_key": "sk-secret", "top_n": 3}
    settings = load_settings(overrides={"rerank": {"kind": "a.b:C", "options": options}})
    assert settings.model_dump(mode="json")["rerank"]["options"] == {"api_key": "***", "top_n": 3}
    assert settings.rerank.options == options
