"""Answering from passages: readers, prompts, citations."""

try:
    from data.exports import lazy
except ImportError as error:
    import data

    raise ImportError(
        f"the package `data` of rag-app is hidden by {data!r}; docs/llamaindex.md tells what to do"
    ) from error

__getattr__, __all__ = lazy("generation")
