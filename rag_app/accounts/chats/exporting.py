"""Conversations as documents, and rated answers as questions for training and evaluation."""

import re
from collections.abc import Iterable
from typing import Any, Final

from rag_app.accounts.chats.conversation import Turn

_BRACKET: Final = re.compile(r"\[(?!\d+\](?![(\[:]))")
"""Each but that of a citation, which is no link by itself."""


def markdown(title: str, turns: Iterable[Turn]) -> str:
    """A Markdown document: each answer with the passages that it cites."""
    return "\n".join([f"# {_inert_line(title)}", *map(_turn, turns)])


def questions(rated: Iterable[Turn]) -> list[dict[str, Any]]:
    """The answers that somebody found good, as `adapt --questions` and `eval answers` read them.

    One record for each document that an answer cites, in the order of its citations: ``id``,
    ``question`` (as it was searched for), ``document`` or, of a pre-cut passage, ``passage_id``,
    ``text`` (the passage), ``answer``, ``collection`` and ``comment``.
    """
    good = (turn for turn in rated if turn.rating == "up" and not turn.abstained)
    return [record for turn in good for record in _records(turn)]


def _records(turn: Turn) -> Iterable[dict[str, Any]]:
    pre_cut = {hit.passage_id: hit.record_id for hit in turn.hits}
    seen: set[str] = set()
    for citation in turn.citations:
        record = pre_cut.get(citation.passage_id)
        if (unit := record or citation.source) in seen:
            continue
        seen.add(unit)
        yield {
            "id": f"{turn.asked} {turn.number}.{citation.n}",
            "question": turn.stand_alone,
            "passage_id" if record else "document": unit,
            "text": citation.text,
            "answer": turn.text,
            "collection": turn.collection,
            "comment": turn.comment,
        }


def _turn(turn: Turn) -> str:
    lines = [f"\n## {_inert_line(turn.question)}", ""]
    if turn.stand_alone != turn.question:
        lines += [f"*Searched for: {_inert_line(turn.stand_alone)}*", ""]
    notes = [turn.error, "Stopped before the end." if turn.state == "stopped" else ""]
    texts = [_inert(turn.text), *(f"*{_inert_line(note)}*" for note in notes if note)]
    lines.append("\n\n".join(part for part in texts if part))
    for citation in turn.citations:
        source = _inert_line(place(citation.source, citation.page, citation.collection))
        lines += ["", f"> [{citation.n}] **{source}**: {_inert_line(citation.text)}"]
    return "\n".join(lines)


def place(source: str, page: int | None, collection: str = "") -> str:
    """Where a passage is from, for a person; its collection where there are several."""
    where = f"{source}, page {page}" if page else source
    return f"{where} ({collection})" if collection else where


def _inert(text: str) -> str:
    """Markdown without HTML, images and links, which whoever opens the file would load or follow.

    Written as entities, brackets are mere characters, whatever stands around them.
    """
    return _BRACKET.sub("&#91;", text.replace("<", "&lt;"))


def _inert_line(text: str) -> str:
    return _inert(" ".join(text.split()))
