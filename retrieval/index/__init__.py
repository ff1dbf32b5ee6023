"""The one store: passages with their dense and sparse vectors, and a record per document."""
