"""Programs of LlamaIndex over our store, retrievers and readers, as its developers write them."""

import hashlib
from contextlib import closing

import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode, TextNode

from generation import QuotingReader, ReaderSynthesizer
from retrieval import (
    BM25,
    Analyzer,
    DenseRetriever,
    EdgeCollections,
    HybridRetriever,
    IndexSpec,
    ReciprocalRankFusion,
    as_encoder,
)

PUMPS = Document(
    id_="pumps",
    text="The blue pump is drained every spring.",
    metadata={"author": "Ada", "tags": ["a", "b"], "place": {"room": 3}},
)
BOATS = Document(id_="boats", text="Boats are painted in May.", metadata={"author": "Bob"})


class Words(BaseEmbedding):
    """A number for every word."""

    def _get_text_embedding(self, text):
        vector = [0.0] * 64
        for word in text.lower().rstrip("?.").split():
            vector[hashlib.sha256(word.encode()).digest()[0] % 64] += 1.0
        return vector

    def _get_query_embedding(self, query):
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query):
        return self._get_text_embedding(query)


@pytest.fixture
def encoder():
    return as_encoder(Words(model_name="words"))


@pytest.fixture
def store(tmp_path, encoder):
    spec = IndexSpec(encoder.dimension, encoder.identity, {"by": "x"}, BM25(Analyzer("english")))
    with closing(EdgeCollections(tmp_path).create("notes", spec)) as store:
        yield store


@pytest.fixture
def index(store, encoder):
    context = StorageContext.from_defaults(vector_store=store)
    return VectorStoreIndex.from_documents(
        [PUMPS, BOATS], storage_context=context, embed_model=encoder
    )


def texts(store):
    return sorted(node.get_content() for batch in store.passages() for node in batch)


def test_metadata_comes_back_and_ours_is_hidden_from_models(index):
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("blue pump")
    assert PUMPS.metadata.items() <= found.node.metadata.items()
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        shown = found.node.get_content(metadata_mode=mode)
        assert "Ada" in shown
        assert "version" not in shown


def test_documents_are_updated_refreshed_inserted_and_deleted(index, store):
    index.update_ref_doc(Document(id_="pumps", text="The red pump is new."))
    assert texts(store) == ["Boats are painted in May.", "The red pump is new."]
    index.refresh_ref_docs([Document(id_="boats", text="Boats are green.")])
    assert texts(store) == ["Boats are green.", "The red pump is new."]
    index.insert(Document(id_="cars", text="Cars stand outside."))
    index.delete_ref_doc("pumps")
    assert texts(store) == ["Boats are green.", "Cars stand outside."]
    index.delete_ref_doc("nobody")
    store.clear()
    assert texts(store) == []


async def test_the_same_without_waiting(store, encoder):
    transformations = [SentenceSplitter(), encoder]
    pipeline = IngestionPipeline(transformations=transformations, vector_store=store)
    await pipeline.arun(documents=[PUMPS, BOATS])
    index = VectorStoreIndex.from_vector_store(store, embed_model=encoder)
    assert (await index.as_retriever().aretrieve("pump"))[0].node.ref_doc_id == "pumps"
    retriever = HybridRetriever(store, encoder, ReciprocalRankFusion(), top_k=2)
    assert (await retriever.aretrieve("pump"))[0].node.ref_doc_id == "pumps"
    await store.adelete("pumps")
    assert texts(store) == ["Boats are painted in May."]
    await store.aclear()
    assert texts(store) == []


def test_stock_engines_answer_from_the_store_whole_and_piece_by_piece(index):
    streamed = index.as_query_engine(llm=MockLLM(), streaming=True).query("pump?")
    assert "The blue pump" in "".join(streamed.response_gen)
    memory = ChatMemoryBuffer.from_defaults(token_limit=3000)  # the default leaves SQLite open
    engine = index.as_chat_engine(llm=MockLLM(), chat_mode="context", memory=memory)
    chat = engine.chat("pump?")
    assert {one.node.ref_doc_id for one in chat.source_nodes} == {"pumps", "boats"}
    ours = index.as_query_engine(
        llm=MockLLM(), response_synthesizer=ReaderSynthesizer(QuotingReader())
    )
    assert "[1]" in str(ours.query("When are boats painted?"))


def test_its_events_tell_of_our_retriever_and_encoder(index, store, encoder):
    seen = set()

    class Handler(BaseEventHandler):
        def handle(self, event, **_):
            seen.add(type(event).__name__)

    dispatcher, handler = get_dispatcher(), Handler()
    dispatcher.add_event_handler(handler)
    try:
        retriever = DenseRetriever(store, encoder, top_k=2)
        engine = RetrieverQueryEngine(retriever, ReaderSynthesizer(QuotingReader()))
        engine.query("When are boats painted?")
    finally:
        dispatcher.event_handlers.remove(handler)
    assert seen >= {"QueryStartEvent", "RetrievalStartEvent", "RetrievalEndEvent", "QueryEndEvent"}


def test_what_is_not_offered_is_refused_in_words(store, index):
    node = TextNode(id_="node-1", text="Hello.", embedding=[0.5] * 64)
    with pytest.raises(ValueError, match="'node-1' has an id that is no UUID"):
        store.add([node])
    with pytest.raises(ValueError, match="mode"):
        index.as_retriever(vector_store_query_mode="mmr").retrieve("pump")
    with pytest.raises(ValueError, match="needs node_ids or filters"):
        store.get_nodes()
    with pytest.raises(NotImplementedError):
        store.delete_nodes(["node-1"])
