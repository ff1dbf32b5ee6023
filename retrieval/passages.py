"""What a passage is made of, and how it becomes text for the engines.

A passage is a LlamaIndex `TextNode`; its metadata carries the keys below, which are also the keys
of its payload in Qdrant.
"""

import uuid
from collections.abc import Sequence

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

from data.tables import index_text

NAMESPACE = uuid.UUID("6f6a2c0e-3c58-5e0f-9a55-0d6c1f0b7a11")
"""Namespace of every UUIDv5 this package makes."""

METADATA_KEYS = (
    "source", "version", "index", "page", "char_start", "char_end", "headings", "passage_id",
    "boxes", "repeated", "terms",
)  # fmt: skip


def version_id(source: str, content_hash: str) -> str:
    """Identity of one version of one document: what its passages are filtered by."""
    return str(uuid.uuid5(NAMESPACE, f"version\0{source}\0{content_hash}"))


def node_id(version: str, index: int, fingerprint: str) -> str:
    """Identity of a passage: same document, content, position and fingerprint, same id."""
    return str(uuid.uuid5(NAMESPACE, f"chunk\0{version}\0{index}\0{fingerprint}"))


def passage(  # noqa: PLR0913 - the address of a passage has this many parts
    *,
    source: str,
    version: str,
    index: int,
    fingerprint: str,
    text: str,
    page: int | None = None,
    char_start: int = 0,
    char_end: int | None = None,
    headings: Sequence[str] = (),
    record_id: str | None = None,
    boxes: Sequence[Sequence[float]] = (),
    repeated: int = 0,
) -> TextNode:
    """One passage as a node.

    Args:
        source: the document's name within its collection.
        version: `version_id` of the document's content.
        index: position of the passage in the document, from 0.
        fingerprint: of the index that it is written to.
        text: the words, as the document has them.
        page: page, slide or sheet, from 1; None where the format has none.
        char_start: offset of the first character in the document's text.
        char_end: offset behind the last one; `char_start + len(text)` when left out.
        headings: the titles above the text, outermost first.
        record_id: a pre-cut passage's own id.
        boxes: where it stands, as page, left, top, right, bottom, in points.
        repeated: how many characters at its beginning stand further above in the document.
    """
    metadata = {
        "source": source,
        "version": version,
        "index": index,
        "page": page,
        "char_start": char_start,
        "char_end": char_start + len(text) if char_end is None else char_end,
        "headings": list(headings),
        "passage_id": record_id,
        "boxes": [list(box) for box in boxes],
        "repeated": repeated,
    }
    return node(node_id(version, index, fingerprint), text, metadata)


def node(identifier: str, text: str, metadata: dict[str, object]) -> TextNode:
    """A stored passage as a LlamaIndex node whose source document is its `source`."""
    return TextNode(
        id_=identifier,
        text=text,
        metadata=metadata,
        relationships={
            NodeRelationship.SOURCE: RelatedNodeInfo(node_id=str(metadata["source"])),
        },
    )


def title(passage: TextNode) -> str:
    """The headings above a passage as one line; empty where there are none."""
    return " ".join(passage.metadata.get("headings") or ())


def indexed_text(passage: TextNode) -> str:
    """What an encoder and BM25 read: the headings above the passage, then its words (BEIR's
    convention), where rows of tables read "header: value".
    """
    text = index_text(passage.text)
    return f"{title(passage)} {text}" if title(passage) else text
