"""A passage among its neighbours, so that a person can see where a citation stands."""

from collections.abc import Iterable, Sequence

from llama_index.core.schema import TextNode

from rag_app.errors import ApplicationError
from rag_app.results import PassageContext
from retrieval.index.base import PassageStore
from retrieval.passages import chunk_id as identify

_NEIGHBOURS = 2


class PassageGone(ApplicationError):
    """No index holds the passage."""


def passage_context(stores: Iterable[PassageStore], chunk_id: str) -> PassageContext:
    """The passage with up to two chunks before and behind it on the same page, as running text.

    Args:
        stores: indexes of the collection; a chunk has another id in each.
        chunk_id: which passage.

    Raises:
        PassageGone: none of them holds such a passage.
    """
    for store in stores:
        if found := store.fetch([chunk_id]):
            return in_context(found[0], _neighbours(store, found[0]))
    raise PassageGone(
        f"passage {chunk_id} is not there any more",
        hint="Its document may have been deleted or changed; ask again",
    )


def in_context(chunk: TextNode, neighbours: Sequence[TextNode]) -> PassageContext:
    """The passage with the text that its neighbours add, by their offsets; none of it twice."""
    start, end = chunk.metadata["char_start"], chunk.metadata["char_end"]
    above = [node for node in neighbours if node.metadata["char_start"] < start]
    below = [node for node in neighbours if node.metadata["char_end"] > end]
    return PassageContext(
        source=chunk.metadata["source"],
        page=chunk.metadata["page"],
        headings=tuple(chunk.metadata["headings"]),
        before=_join(above, until=start),
        text=chunk.text,
        after=_join(below, since=end),
    )


def _neighbours(store: PassageStore, chunk: TextNode) -> list[TextNode]:
    if chunk.metadata["passage_id"] is not None:
        return []  # pre-cut passages stand alone
    index = chunk.metadata["index"]
    near = [i for i in range(index - _NEIGHBOURS, index + _NEIGHBOURS + 1) if i >= 0]
    fingerprint = store.collection().fingerprint
    ids = [identify(chunk.metadata["version"], i, fingerprint) for i in near]
    return [
        node
        for node in store.fetch(ids)
        if node.metadata["page"] == chunk.metadata["page"] and node.node_id != chunk.node_id
    ]


def _join(nodes: Sequence[TextNode], since: int | None = None, until: int | None = None) -> str:
    """The text that the nodes cover, from `since` up to `until`; gaps were white space."""
    parts: list[str] = []
    position = since
    for node in sorted(nodes, key=lambda node: int(node.metadata["char_start"])):
        start, text = node.metadata["char_start"], node.text
        if position is not None:
            if start > position:
                parts.append("\n")
            text = text[max(0, position - start) :]
        parts.append(text)
        position = max(position or 0, node.metadata["char_end"])
    joined = "".join(parts)
    if until is None or position is None or position == until:
        return joined
    return joined[: until - position] if position > until else joined + "\n"
