"""Finding passages: encoders, stores, retrievers, fusion, reranking."""
