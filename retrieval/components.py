"""The rows of retrieval's stages: what stands behind each name of settings and requests.

`rag_app.assembly.components` gives a class those of the stage's parts that its ``__init__`` names,
so a new component is its class and its row.
"""

from data.registry import Row, registry

_LLM = "a language model"

ENCODER_BACKENDS = registry(
    Row("onnx", "retrieval.encoders.minilm:MiniLMEmbedding", "this process, without torch"),
    Row(
        "transformers",
        "retrieval.encoders.local.transformer:TransformersEncoder",
        "this process, any row",
        "rag-app[reasonir]",
    ),
    Row("vllm", "retrieval.encoders.remote.served:ServedEncoder", "a vLLM server", "a server"),
    Row(
        "openai",
        "retrieval.encoders.remote.served:ServedEncoder",
        "OpenAI, or what speaks as it does",
        "a server",
    ),
)

RETRIEVERS = registry(
    Row("dense", "retrieval.retriever:DenseRetriever", "nearest vectors"),
    Row("bm25", "retrieval.retriever:BM25Retriever", "words, weighed by how rare they are"),
    Row("hybrid", "retrieval.retriever:HybridRetriever", "both, fused into one ranking"),
    Row(
        "rank_bm25",
        "retrieval.rank_bm25_reference:RankBM25Retriever",
        "the reference for bm25, in memory and slow",
    ),
    Row("none", "retrieval.retriever:NoRetriever", "closed book: the model answers alone"),
)

FUSIONS = registry(
    Row("rrf", "retrieval.fusion:ReciprocalRankFusion", "by ranks alone"),
    Row("minmax", "retrieval.fusion:MinMaxFusion", "by scores between theoretical ends"),
    Row("minmax-observed", "retrieval.fusion:ObservedMinMaxFusion", "by scores, as published"),
    Row("none", "retrieval.fusion:NoFusion", "for retrievers with one ranking"),
)

REWRITERS = registry(
    Row("none", "retrieval.rewriting:NoRewriter", "searches with the question"),
    Row("llm", "retrieval.rewriting:LLMRewriter", "searches with longer queries, too", _LLM),
    Row(
        "decompose",
        "retrieval.decomposing:LLMDecomposer",
        "searches the parts of a question, too",
        _LLM,
    ),
)

RERANKERS = registry(
    Row("none", "retrieval.reranking.none:KeepOrder", "keeps the retriever's order"),
    Row("qwen", "retrieval.reranking.qwen:QwenReranker", "expected grade of one token", _LLM),
    Row(
        "qwen-sampled",
        "retrieval.reranking.qwen_sampled:QwenSampledReranker",
        "sampled grade, exactly as published",
        "a server of /v1/completions",
    ),
    Row(
        "cross-encoder",
        "retrieval.reranking.cross_encoder:CrossEncoderReranker",
        "scores pairs: in this process, or on a /rerank server",
        "rag-app[rerank], or a server of /rerank",
    ),
    Row(
        "rank1",
        "retrieval.reranking.rank1:Rank1Reranker",
        "thinks about each passage first",
        "vLLM's /v1/completions",
    ),
    Row(
        "retro-star",
        "retrieval.reranking.two_passes:retro_star",
        "mean of reasoned verdicts, in one pass or two",
        _LLM,
    ),
)
