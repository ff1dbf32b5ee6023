"""A passage among its neighbours, so that a person can see where a citation stands."""

from collections.abc import Iterable, Sequence

from llama_index.core.schema import TextNode

from rag_app.errors import ApplicationError
from rag_app.results import PassageContext
from retrieval.index.base import PassageStore
from retrieval.passages import node_id as identify

_NEIGHBOURS = 2


class PassageGone(ApplicationError):
    """No index holds the passage."""

    def __init__(self, passage_id: str) -> None:
        super().__init__(
            f"passage {passage_id} is not there any more",
            hint="Its document may have been deleted or changed; ask again",
        )


def passage_context(stores: Iterable[PassageStore], passage_id: str) -> PassageContext:
    """The passage with up to two passages before and behind it, as running text.

    Raises:
        PassageGone: none of them holds such a passage.
    """
    for store in stores:
        if found := store.fetch([passage_id]):
            return in_context(found[0], _neighbours(store, found[0]))
    raise PassageGone(passage_id)


def in_context(passage: TextNode, neighbours: Sequence[TextNode]) -> PassageContext:
    """The passage with the text that its neighbours add, by their offsets; none of it twice."""
    start, end = passage.metadata["char_start"], passage.metadata["char_end"]
    above = [node for node in neighbours if node.metadata["char_start"] < start]
    below = [node for node in neighbours if node.metadata["char_end"] > end]
    return PassageContext(
        source=passage.metadata["source"],
        page=passage.metadata["page"],
        headings=tuple(passage.metadata["headings"]),
        before=_join(above, until=start),
        text=passage.text,
        after=_join(below, since=end),
    )


def _neighbours(store: PassageStore, passage: TextNode) -> list[TextNode]:
    if passage.metadata["passage_id"] is not None:
        return []  # pre-cut passages stand alone
    index = passage.metadata["index"]
    near = [i for i in range(index - _NEIGHBOURS, index + _NEIGHBOURS + 1) if i >= 0]
    fingerprint = store.collection().fingerprint
    ids = [identify(passage.metadata["version"], i, fingerprint) for i in near]
    return [
        node
        for node in store.fetch(ids)
        if node.node_id != passage.node_id and _same_text(node, passage)
    ]


def _same_text(one: TextNode, other: TextNode) -> bool:
    """Whether their offsets count in one text; each page had its own until boxes were stored."""
    return one.metadata.get("boxes") is not None or one.metadata["page"] == other.metadata["page"]


def _join(nodes: Sequence[TextNode], since: int | None = None, until: int | None = None) -> str:
    """The text that the nodes cover, from `since` up to `until`; gaps were white space."""
    parts: list[str] = []
    position = since
    for node in sorted(nodes, key=lambda node: int(node.metadata["char_start"])):
        start, text = node.metadata["char_start"], node.text[node.metadata.get("repeated") or 0 :]
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
