"""Queries made of the documents' own structure, without a language model.

Each way gives a query that the passage answers without being a copy of it:

* heading: the titles above a passage ask for it;
* sentence: its first sentence asks for the rest of it (the inverse cloze task, Lee et al. 2019,
  https://arxiv.org/abs/1906.00300);
* cloze: a sentence with its rarest word left blank asks for the rest;
* glossary: a term asks for its definition, and the definition for the term's other passages;
* table: the row and column labels of a value ask for its table;
* list: the sentence that leads in to a list asks for the list.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from retrieval.training.examples import Example

SHORTEST_QUERY, SHORTEST_REST = 3, 20
"""Words that a query, and what is left of a passage, must have."""
BLANK = "________"
_TERM = re.compile(
    r"[-*•\s]*(?:\*\*)?(?P<term>[^\n.:;|*]{2,60}?)(?:\*\*)?\s*[:–—]\s+(?P<what>\S.+)"
)
_ITEM = re.compile(r"\s*(?:[-*•‣]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+\S")
_MARK = re.compile(r"\s*(?:#{1,6}|[-*•‣>]|\d{1,3}[.)])\s+")
"""What a line of Markdown may begin with; nobody types it in a search."""
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage as pairs are made of it.

    Attributes:
        id: what negatives must not share with it, such as its document.
        passage_id: its own id in the index; empty for one that is in none.
    """

    id: str
    text: str
    headings: tuple[str, ...] = ()
    document: str = ""
    passage_id: str = ""

    @property
    def indexed(self) -> str:
        """As encoders read it: the titles, then the words."""
        return " ".join((*self.headings, self.text))


@dataclass(frozen=True, slots=True)
class _Seen:
    """A passage, its sentences, and how many passages have each word."""

    passage: Passage
    parts: Sequence[str]
    frequency: Counter[str]


Sentences = Callable[[str], Sequence[str]]


def make(
    passages: Sequence[Passage], sentences: Sentences, kinds: Iterable[str] | None = None
) -> Iterator[Example]:
    """Pairs of all kinds, or of some, from each passage in turn.

    Args:
        passages: of the whole collection, since a word is rare by how many passages have it.
    """
    frequency = Counter(word for passage in passages for word in set(_words(passage.text)))
    wanted = set(KINDS if kinds is None else kinds)
    for passage in passages:
        parts = [part for part in sentences(passage.text) if part.strip()]
        for kind in KINDS:
            if kind not in wanted:
                continue
            for asked, text in _WAYS[kind](_Seen(passage, parts, frequency)):
                mark = _MARK.match(asked)
                query = asked[mark.end() :] if mark else asked
                if _fits(query, text):
                    yield Example(query=query, pos=[text], pos_id=[passage.id], kind=kind)


def _heading(seen: _Seen) -> Iterator[tuple[str, str]]:
    if seen.passage.headings:
        yield ": ".join(seen.passage.headings[-2:]), seen.passage.text


def _sentence(seen: _Seen) -> Iterator[tuple[str, str]]:
    if len(seen.parts) > 1:
        yield seen.parts[0].strip(), _titled(seen.passage, seen.parts[1:])


def _cloze(seen: _Seen) -> Iterator[tuple[str, str]]:
    """The sentence with the rarest word that other passages have too: names are too easy."""
    if len(seen.parts) < 3:
        return
    at = max(range(1, len(seen.parts)), key=lambda place: min(len(seen.parts[place]), 200))
    known = [word for word in _words(seen.parts[at]) if seen.frequency[word] > 1]
    if known:
        rarest = min(known, key=lambda word: (seen.frequency[word], word))
        blanked = re.sub(rf"\b{re.escape(rarest)}\b", BLANK, seen.parts[at], flags=re.IGNORECASE)
        yield blanked.strip(), _titled(seen.passage, [*seen.parts[:at], *seen.parts[at + 1 :]])


def _glossary(seen: _Seen) -> Iterator[tuple[str, str]]:
    for line in seen.passage.text.splitlines():
        entry = _TERM.fullmatch(line.strip())
        if entry and len(entry["term"].split()) <= 6:
            yield f"What is {entry['term'].strip()}?", seen.passage.indexed
            yield entry["what"].strip(), seen.passage.indexed


def _table(seen: _Seen) -> Iterator[tuple[str, str]]:
    lines = [
        _cells(line) for line in seen.passage.text.splitlines() if line.strip().startswith("|")
    ]
    ruled = [at for at, cells in enumerate(lines) if all(set(cell) <= {"-", ":"} for cell in cells)]
    if not ruled or not ruled[0]:
        return
    head = lines[ruled[0] - 1]
    for cells in lines[ruled[0] + 1 :]:
        for label, cell in zip(head[1:], cells[1:], strict=False):
            if label and cell and cells[0]:
                yield f"{head[0]} {cells[0]}: {label}".strip(), seen.passage.indexed


def _list(seen: _Seen) -> Iterator[tuple[str, str]]:
    lines = seen.passage.text.splitlines()
    for at, line in enumerate(lines[:-2]):
        lead = line.strip()
        if lead.endswith(":") and _ITEM.match(lines[at + 1]) and _ITEM.match(lines[at + 2]):
            yield lead.rstrip(":"), "\n".join(lines[at + 1 :])


_Way = Callable[[_Seen], Iterator[tuple[str, str]]]
_WAYS: dict[str, _Way] = {
    "heading": _heading,
    "sentence": _sentence,
    "cloze": _cloze,
    "glossary": _glossary,
    "table": _table,
    "list": _list,
}
KINDS = tuple(_WAYS)
"""Names of the ways, in the order in which they are tried."""


def _fits(query: str, text: str) -> bool:
    return len(query.split()) >= SHORTEST_QUERY and len(text.split()) >= SHORTEST_REST


def _titled(passage: Passage, parts: Iterable[str]) -> str:
    return " ".join((*passage.headings, *(part.strip() for part in parts)))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
