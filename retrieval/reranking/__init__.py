"""The rerank stage: LlamaIndex node postprocessors that put found passages in a better order."""
