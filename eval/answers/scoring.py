"""What an answer is worth by its own evidence, without a judge: quotations are looked up.

Citation precision and recall are those of ALCE (Gao et al., EMNLP 2023,
https://arxiv.org/abs/2305.14627) with a stricter test in the place of its entailment model: a
passage bears a sentence out where it holds the sentence's quotations word for word. A sentence
without quotation marks that stands in a passage as it is, as the reader without a model writes, is
its own quotation; without a citation, it is borne out if it stands in a passage that the next
sentence with one in the same line cites, since a reader may quote several sentences and cite them
once, at their end. A paraphrase cannot be looked up: it counts as not borne out, and `unquoted`
says how many there are.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from generation.coverage import claims_by_line

_CITATION = re.compile(r"\[(\d{1,3})\]")
_QUOTATION = re.compile(r"\"([^\"]+)\"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|»([^«]+)«")
_FEWEST_WORDS = 3
"""Words of a quotation; fewer in quotation marks are a name or a term."""
_REFERENCE = re.compile(r"\((\d{1,3})\)")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Counts over the sentences of one answer.

    Attributes:
        claims: sentences that say something.
        borne_out: of them, those whose quotations all stand in passages that they cite, and those
            that cite nothing and stand as they are in a passage that is cited behind them.
        unquoted: of them, those that quote nothing, so that nothing can be looked up.
        citations: made by sentences that quote.
        right_citations: of them, those whose passage holds a quotation of the sentence.
        quotes: quotations.
        true_quotes: of them, those that stand in a passage that was found.
    """

    claims: int = 0
    borne_out: int = 0
    unquoted: int = 0
    citations: int = 0
    right_citations: int = 0
    quotes: int = 0
    true_quotes: int = 0


def evidence(text: str, cited: Mapping[int, str], found: Sequence[str]) -> Evidence:
    """Look every quotation of an answer up.

    Args:
        text: the answer, with ``[n]`` for citations.
        cited: number -> text of the passage that was cited.
        found: texts of all passages, cited or not.
    """
    passages = {number: _plain(passage) for number, passage in cited.items()}
    everything = [*passages.values(), *map(_plain, found)]
    total = borne_out = unquoted = citations = right = quotes = true = 0
    for sentence, behind in _with_citations_behind(text):
        total += 1
        quoted = _quotations(sentence, everything)
        if not quoted:
            unquoted += 1
            continue
        texts = [passages.get(n, "") for n in _cited(sentence)]
        quotes += len(quoted)
        true += sum(any(quote in passage for passage in everything) for quote in quoted)
        citations += len(texts)
        right += sum(any(quote in passage for quote in quoted) for passage in texts)
        if texts:
            borne_out += all(any(quote in passage for passage in texts) for quote in quoted)
        else:
            borne_out += any(_plain(sentence) in passages.get(n, "") for n in behind)
    return Evidence(total, borne_out, unquoted, citations, right, quotes, true)


def _with_citations_behind(text: str) -> Iterator[tuple[str, list[int]]]:
    """Each sentence, and what the next sentence of its line that cites anything cites."""
    for line in claims_by_line(text):
        cited = [_cited(sentence) for sentence in line]
        for place, sentence in enumerate(line):
            yield sentence, next(filter(None, cited[place + 1 :]), [])


def _cited(sentence: str) -> list[int]:
    return [int(n) for n in dict.fromkeys(_CITATION.findall(sentence))]


def _quotations(sentence: str, passages: Sequence[str]) -> list[str]:
    """What a sentence quotes, in the form in which passages are looked through."""
    bare = _CITATION.sub("", sentence)
    marked = [_plain("".join(groups)) for groups in _QUOTATION.findall(bare)]
    marked = [quote for quote in marked if len(quote.split()) >= _FEWEST_WORDS]
    whole = _plain(bare)
    return marked or ([whole] if any(whole in passage for passage in passages) else [])


def _plain(text: str) -> str:
    """Words with a blank on either side; readers may change case, marks and white space."""
    text = _REFERENCE.sub(r"[\1]", unicodedata.normalize("NFKC", text))
    words = re.findall(r"\w+", text.casefold())
    return f" {' '.join(words)} "
