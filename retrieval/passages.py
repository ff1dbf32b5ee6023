"""What a passage is made of, and how it becomes text for the engines.

A passage is a LlamaIndex `TextNode`; its metadata carries the keys below, which are also the keys
of its payload in Qdrant.
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

from data.tables import index_text

NAMESPACE = uuid.UUID("6f6a2c0e-3c58-5e0f-9a55-0d6c1f0b7a11")
"""Namespace of every UUIDv5 this package makes."""

METADATA_KEYS = (
    "source", "version", "index", "page", "char_start", "char_end", "headings", "passage_id",
    "boxes", "repeated", "terms",
)  # fmt: skip


CUSTOM = "metadata"
"""Payload key of the metadata that a node was given by others, such as ``author``."""
_EXCLUDED = {"excluded_llm": "excluded_llm_metadata_keys",
             "excluded_embed": "excluded_embed_metadata_keys"}  # fmt: skip
"""Payload key -> the field of a node that it keeps."""
_FOR_READERS = ("source", "page", "headings")
"""Our own keys that tell a language model something."""


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
    """A stored passage as a LlamaIndex node whose source document is its `source`.

    What we keep for ourselves in the metadata is excluded from the text that models see.
    """
    return TextNode(
        id_=identifier,
        text=text,
        metadata=metadata,
        excluded_embed_metadata_keys=list(METADATA_KEYS),
        excluded_llm_metadata_keys=[
            key for key in METADATA_KEYS if not (key in _FOR_READERS and metadata.get(key))
        ],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=str(metadata["source"]))},
    )


def passage_of(payload: Mapping[str, Any], source: str, version: str, fingerprint: str) -> TextNode:
    """The passage of a payload, as one of another document of the same content."""
    metadata = {key: payload.get(key) for key in METADATA_KEYS if key != "terms"}
    identifier = node_id(version, int(payload["index"]), fingerprint)
    return node(identifier, payload["text"], {**metadata, "source": source, "version": version})


def is_passage(node: TextNode) -> bool:
    """Whether `passage` made it, or a store gave it; else its metadata is of others alone."""
    source = node.metadata.get("source")
    return bool(source and node.metadata.get("version")) and node.ref_doc_id in (None, source)


def to_stored(node: TextNode) -> TextNode:
    """The node as a passage whose metadata holds the payload's keys alone.

    One of others becomes a passage of the document `ref_doc_id` (of itself, where it has none), and
    all its metadata lies under `CUSTOM`.
    """
    ours = is_passage(node)
    custom = {k: v for k, v in node.metadata.items() if not (ours and k in METADATA_KEYS)}
    if ours and not custom:
        return node
    source = str(node.metadata["source"]) if ours else node.ref_doc_id or node.node_id
    start = node.start_char_idx or 0
    made = passage(
        source=source,
        version=version_id(source, unknown_content(source)),
        index=0,
        fingerprint="",
        text=node.text,
        char_start=start,
    )
    fields = (
        {k: v for k, v in node.metadata.items() if k in METADATA_KEYS} if ours else made.metadata
    )
    kept: dict[str, Any] = {CUSTOM: custom}
    for key, name in _EXCLUDED.items():
        kept[key] = [one for one in getattr(node, name) if one in custom]
    return TextNode(
        id_=node.node_id, text=node.text, embedding=node.embedding, metadata={**fields, **kept}
    )


def from_stored(identifier: str, payload: Mapping[str, Any]) -> TextNode:
    """The node of a payload, with all metadata that it was given. Raises KeyError."""
    fields = {key: payload.get(key) for key in METADATA_KEYS}
    made = node(identifier, payload["text"], fields)
    made.start_char_idx, made.end_char_idx = fields["char_start"], fields["char_end"]
    if custom := payload.get(CUSTOM):
        made.metadata = {**fields, **custom}
        for key, name in _EXCLUDED.items():
            # Of a node of others, models see what its maker lets them, and nothing of ours.
            made_for_us = [one for one in METADATA_KEYS if one not in custom]
            setattr(made, name, [*made_for_us, *payload.get(key, ())])
    return made


def unknown_content(source: str) -> str:
    """Stands in for the content hash of a document whose passages others made."""
    return hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()


def title(passage: TextNode) -> str:
    """The headings above a passage as one line; empty where there are none."""
    return " ".join(passage.metadata.get("headings") or ())


def indexed_text(passage: TextNode) -> str:
    """What an encoder and BM25 read: the headings above the passage, then its words (BEIR's
    convention), where rows of tables read "header: value".
    """
    text = index_text(passage.text)
    return f"{title(passage)} {text}" if title(passage) else text
