"""Finding passages: encoders, stores, retrievers, fusion, rewriting, reranking."""

from typing import TYPE_CHECKING

try:
    from data.exports import lazy
except ImportError as error:
    import data

    raise ImportError(
        f"the package `data` of rag-app is hidden by {data!r}; docs/llamaindex.md tells what to do"
    ) from error

if TYPE_CHECKING:
    from retrieval.analysis import Analyzer
    from retrieval.bm25 import BM25
    from retrieval.encoders.base import Encoder
    from retrieval.encoders.local.reasonir import ReasonIREmbedding
    from retrieval.encoders.local.transformer import TransformersEncoder
    from retrieval.encoders.minilm import MiniLMEmbedding
    from retrieval.encoders.registry import EncoderRow
    from retrieval.encoders.remote.served import ServedEncoder
    from retrieval.encoders.stock import StockEncoder, as_encoder
    from retrieval.errors import RetrievalError
    from retrieval.fusion import MinMaxFusion, ReciprocalRankFusion
    from retrieval.index.base import PassageStore, Where
    from retrieval.index.edge_collections import EdgeCollections
    from retrieval.index.fingerprint import IndexSpec
    from retrieval.index.server_collections import ServerCollections
    from retrieval.passages import passage, version_id
    from retrieval.reranking.base import Reranker
    from retrieval.reranking.cross_encoder import CrossEncoderReranker
    from retrieval.reranking.qwen import QwenReranker
    from retrieval.reranking.rank1 import Rank1Reranker
    from retrieval.retriever import BM25Retriever, DenseRetriever, HybridRetriever
    from retrieval.rewriting import LLMRewriter

__all__ = [
    "BM25",
    "Analyzer",
    "BM25Retriever",
    "CrossEncoderReranker",
    "DenseRetriever",
    "EdgeCollections",
    "Encoder",
    "EncoderRow",
    "HybridRetriever",
    "IndexSpec",
    "LLMRewriter",
    "MinMaxFusion",
    "MiniLMEmbedding",
    "PassageStore",
    "QwenReranker",
    "Rank1Reranker",
    "ReasonIREmbedding",
    "ReciprocalRankFusion",
    "Reranker",
    "RetrievalError",
    "ServedEncoder",
    "ServerCollections",
    "StockEncoder",
    "TransformersEncoder",
    "Where",
    "as_encoder",
    "passage",
    "version_id",
]

__getattr__ = lazy(
    "retrieval",
    {
        "analysis": ("Analyzer",),
        "bm25": ("BM25",),
        "encoders.base": ("Encoder",),
        "encoders.local.reasonir": ("ReasonIREmbedding",),
        "encoders.local.transformer": ("TransformersEncoder",),
        "encoders.minilm": ("MiniLMEmbedding",),
        "encoders.registry": ("EncoderRow",),
        "encoders.remote.served": ("ServedEncoder",),
        "encoders.stock": ("StockEncoder", "as_encoder"),
        "errors": ("RetrievalError",),
        "fusion": ("MinMaxFusion", "ReciprocalRankFusion"),
        "index.base": ("PassageStore", "Where"),
        "index.edge_collections": ("EdgeCollections",),
        "index.fingerprint": ("IndexSpec",),
        "index.server_collections": ("ServerCollections",),
        "passages": ("passage", "version_id"),
        "reranking.base": ("Reranker",),
        "reranking.cross_encoder": ("CrossEncoderReranker",),
        "reranking.qwen": ("QwenReranker",),
        "reranking.rank1": ("Rank1Reranker",),
        "retriever": ("BM25Retriever", "DenseRetriever", "HybridRetriever"),
        "rewriting": ("LLMRewriter",),
    },
)
