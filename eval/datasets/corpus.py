"""The passages of a retrieval data set: read one at a time, and held to what was judged."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from eval.datasets.reading import bad, identifier, records
from eval.errors import DatasetError

HINT = 'Each line must look like {"_id": "1", "title": "optional", "text": "..."}'


def passages(corpus: Path) -> Iterator[tuple[str, str, str]]:
    """Id, title and text of every passage, in file order, one at a time.

    Raises:
        DatasetError: the file, or the named line, cannot be read.
    """
    for number, record in records(corpus, HINT):
        passage, text = identifier(record), record.get("text")
        if passage is None or not isinstance(text, str):
            raise bad(corpus, number, "it has no _id or no text", HINT)
        yield passage, record.get("title") or "", text


def check(
    name: str,
    corpus: Path,
    qrels: Mapping[str, Mapping[str, int]],
    parents: Mapping[str, str] | None = None,
) -> int:
    """Hold a corpus to have every document that is judged relevant; returns its size.

    A gold passage that is absent can never be found, so results over such a corpus would be too
    low without a word. Passages that are judged not relevant may be absent: they cost nothing.

    Raises:
        DatasetError: relevant documents are absent: how many of how many, and one of them; or an
            id stands twice.
    """
    relevant = {document for row in qrels.values() for document, grade in row.items() if grade > 0}
    absent, seen = set(relevant), set[str]()
    for passage, _, _ in passages(corpus):
        if passage in seen:
            raise DatasetError(f"{corpus} has two passages with the id {passage!r}")
        seen.add(passage)
        absent.discard((parents or {}).get(passage, passage))
    if absent:
        raise DatasetError(
            f"{name} lacks {len(absent)} of {len(relevant)} documents that are judged relevant",
            cause=f"{corpus} has no passage {min(absent)!r}",
            hint="Get the corpus again, whole and of the same version as its judgements",
        )
    return len(seen)
