"""The commands of `rag-app`, a file a subject; each has a `register` that adds them."""
