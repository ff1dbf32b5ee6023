"""Keeping BM25's length normalisation true while a collection grows and shrinks."""

from retrieval.index.base import PassageStore
from retrieval.passages import title


def refresh_lengths(store: PassageStore, tolerance: float = 0.01) -> bool:
    """Recompute the stored BM25 weights when the average passage length has drifted.

    The record names the new average before the first weight changes, so a crash half way leaves a
    note that the next call follows; running it twice does no harm.

    Args:
        tolerance: relative drift of the average length that is let pass.

    Returns:
        Whether weights were rewritten.
    """
    record = store.collection()
    passages = sum(document.passages for document in store.records())
    terms = sum(document.terms for document in store.records())
    if not passages or not terms:
        return False
    mean = terms / passages
    drift = abs(mean - record.average_length) / mean
    if record.refresh_to is None and drift <= tolerance:
        return False
    store.put_collection(record.refreshing(mean))
    bm25 = store.spec.bm25
    for batch in store.passages(hidden=True):  # a version being written will be live one day
        weights = [bm25.encode_passage(passage.text, mean, title(passage)) for passage in batch]
        store.reweigh([passage.node_id for passage in batch], weights)
    store.put_collection(record.refreshed(mean))
    return True
