"""Which documents of a collection are worth training on."""

import asyncio
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from data.text import ENGLISH_STOP_WORDS
from rag_app.synthesis import calls, prompts
from rag_app.synthesis.calls import Calls, Unusable
from retrieval.training.pairs import Passage

SHORTEST = 100
"""Words of a document below which it gives too few queries."""
MOST_REPEATED = 0.5
"""Share of word sequences that others have, too, above which a document adds little."""
_RUN = 8  # words of a sequence
_SHOWN = 3000  # characters of a document that a model grades
_DENSE = (0.2, 0.75)  # compressed size by size: below are forms and repetitions, above is noise


@dataclass(frozen=True, slots=True)
class Finding:
    """What an audit says of a document.

    Attributes:
        repeated: share of its sequences of eight words that another document has.
        density: its size when compressed, as a share; prose has about 0.4.
        english: share of its words that are English function words; prose has 0.3 and more.
        reason: why it is not worth it; empty if it is.
        grade: from 0, nothing to learn, to 5, by a language model; None where none was asked.
    """

    document: str
    words: int
    passages: int
    repeated: float
    density: float
    english: float
    reason: str
    grade: int | None = None


def audit(passages: Iterable[Passage]) -> list[Finding]:
    """A finding for each document, by name."""
    texts: dict[str, list[str]] = {}
    for passage in passages:
        texts.setdefault(passage.document, []).append(passage.text)
    holders = Counter(
        run for parts in texts.values() for run in {run for part in parts for run in _runs(part)}
    )
    return [_finding(name, texts[name], holders) for name in sorted(texts)]


async def graded(
    findings: Sequence[Finding], passages: Iterable[Passage], asking: Calls, dropped: Counter[str]
) -> list[Finding]:
    """The findings with a model's grade of each document that was worth it so far.

    Args:
        dropped: counts grades that did not come, by reason; such a document stays as it was.
    """
    texts: dict[str, str] = {}
    for passage in passages:
        start = texts.get(passage.document, "")
        if len(start) < _SHOWN:
            texts[passage.document] = f"{start}\n{passage.text}".strip()

    async def one(finding: Finding) -> Finding:
        if finding.reason:
            return finding
        document = calls.quoted(texts[finding.document], _SHOWN)
        messages = (
            calls.system(prompts.WORTH),
            calls.user(prompts.WORTH_TURN.format(document=document)),
        )
        try:
            text = await asking.ask("worth", messages, temperature=0.0, max_tokens=512)
            grade = calls.score(text, 0, 5)
        except Unusable as reason:
            dropped[f"grade: {reason}"] += 1
            return finding
        return replace(finding, grade=grade, reason="" if grade else "a model finds nothing in it")

    return list(await asyncio.gather(*map(one, findings)))


def _finding(name: str, parts: list[str], holders: Counter[int]) -> Finding:
    text = "\n".join(parts)
    words, raw = text.lower().split(), text.encode()
    runs = [run for part in parts for run in _runs(part)]
    repeated = sum(holders[run] > 1 for run in runs) / max(1, len(runs))
    density = len(zlib.compress(raw)) / max(1, len(raw))
    english = sum(word in ENGLISH_STOP_WORDS for word in words) / max(1, len(words))
    reason = ""
    if len(words) < SHORTEST:
        reason = f"it has fewer than {SHORTEST} words"
    elif repeated > MOST_REPEATED:
        reason = "most of it stands in other documents, too"
    elif not _DENSE[0] <= density <= _DENSE[1]:
        reason = "it repeats itself" if density < _DENSE[0] else "it hardly has words"
    return Finding(
        name,
        len(words),
        len(parts),
        round(repeated, 3),
        round(density, 3),
        round(english, 3),
        reason,
    )


def _runs(text: str) -> Iterator[int]:
    words = text.lower().split()
    for at in range(len(words) - _RUN + 1):
        yield hash(tuple(words[at : at + _RUN]))
