"""Questions that a collection may answer, made of the headings and table rows in its passages."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Final

from data.errors import RagAppError
from data.tables import cells, is_separator
from rag_app.results import Hit
from rag_app.service import Service
from ui.first_start import EXAMPLES, SAMPLES

MOST: Final = 3
_LONGEST: Final = 60


async def suggestions(service: Service, collection: str) -> Sequence[str]:
    """Up to three questions; the samples come with their own."""
    if collection == SAMPLES:
        return EXAMPLES
    try:
        async with aclosing(service.passages(collection)) as batches:
            async for batch in batches:
                return suggest(batch.passages)
    except RagAppError:  # it has to be rebuilt first, which the page says elsewhere
        pass
    return ()


def suggest(passages: Iterable[Hit]) -> list[str]:
    """Questions about these passages: one of a table, and the others each of another document."""
    tables: list[str] = []
    headings: dict[str, str] = {}
    for hit in sorted(passages, key=lambda hit: (hit.source, hit.page or 0, hit.char_start)):
        tables += _of_table(hit.text)
        for heading in hit.headings[-1:]:
            if hit.source not in headings and _fits(heading):
                headings[hit.source] = _of_heading(heading, hit.source)
    return [*tables[:1], *headings.values()][:MOST]


def _of_heading(heading: str, source: str) -> str:
    return heading if heading.endswith("?") else f"What does {source} say about “{heading}”?"


def _of_table(text: str) -> Iterator[str]:
    """A question for the first value of a Markdown table: its column, and its row's label."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for head, rule, row in zip(rows, rows[1:], rows[2:], strict=False):
        columns, values = cells(head), cells(row)
        whole = len(columns) == len(values) > 1 and all(map(_fits, (columns[1], values[0])))
        if is_separator(rule) and whole and values[1]:
            yield f"What is “{columns[1]}” for {values[0]}?"


def _fits(words: str) -> bool:
    return 2 < len(words) <= _LONGEST and any(map(str.isalpha, words))
