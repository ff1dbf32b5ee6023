"""The same question put to several retrieval systems: which passages they share, and in what order.

Pure: nothing here searches. `grammar` says what is asked, `compare` takes the results.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from rag_app.results import Hit, PassagePlace, SearchResult

PERSISTENCE = 0.9
"""p of rank-biased overlap: the first ten ranks have 86 % of the weight (Webber et al. 2010)."""

_Ranking = Mapping[PassagePlace, tuple[int, Hit]]
"""Rank, from 1, and hit of each passage, best first."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much two systems agree.

    Attributes:
        a: name of the one.
        b: name of the other.
        shared: passages that both found.
        jaccard: `shared` as a share of the passages that either found, 0 to 1; 1 if none did.
        rbo: rank-biased overlap, 0 to 1, in which agreement on early ranks counts for more.
        mean_rank_difference: mean of |rank in a - rank in b| of shared passages; None without any.
    """

    a: str
    b: str
    shared: int
    jaccard: float
    rbo: float
    mean_rank_difference: float | None


@dataclass(frozen=True, slots=True)
class ComparedPassage:
    """A passage that at least one system found.

    Attributes:
        source: the document it is from.
        page: page, slide or sheet, from 1; None where the format has none.
        char_start: offset of its first character in the text of the page (or document).
        char_end: offset behind its last one.
        text: its words.
        ranks: its rank, from 1, in each system that found it.
        scores: its score there; scores of different systems are on different scales.
    """

    source: str
    page: int | None
    char_start: int
    char_end: int
    text: str
    ranks: Mapping[str, int]
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answers of several systems to one question, side by side.

    Attributes:
        results: what each system found, by its name.
        depth: ranks that were compared.
        overlap: agreement of every pair of systems.
        passages: those with the best rank anywhere first.
    """

    results: Mapping[str, SearchResult]
    depth: int
    overlap: list[Overlap]
    passages: list[ComparedPassage]

    def as_dict(self) -> dict[str, Any]:
        """The command line's JSON document."""
        return {
            "systems": {name: result.as_dict() for name, result in self.results.items()},
            "depth": self.depth,
            "overlap": [asdict(pair) for pair in self.overlap],
            "passages": [asdict(passage) for passage in self.passages],
        }


def compare(results: Mapping[str, SearchResult], depth: int) -> Comparison:
    """Lay the first `depth` ranks of each system side by side.

    Passage ids differ between indexes of one corpus. Passages are the same where their source and
    place are, so indexes have to be cut alike, which those of one collection are.
    """
    rankings = {name: _ranking(result.hits[:depth]) for name, result in results.items()}
    overlap = [_overlap(a, b, rankings[a], rankings[b]) for a, b in combinations(rankings, 2)]
    return Comparison(results, depth, overlap, _passages(rankings, depth))


def rank_biased_overlap(
    first: Sequence[PassagePlace], second: Sequence[PassagePlace], p: float = PERSISTENCE
) -> float:
    """Extrapolated rank-biased overlap of two rankings without repeats, 0 to 1.

    Equation 32 of Webber, Moffat and Zobel 2010, "A similarity measure for indefinite rankings"
    (ACM Transactions on Information Systems 28:4), which allows for unequal lengths. Two empty
    rankings agree; an empty one and another do not.

    Args:
        first: a ranking, best first.
        second: another.
        p: in (0, 1); the nearer to 1, the more the later ranks count.
    """
    short, long = sorted((first, second), key=len)
    s, l = len(short), len(long)  # noqa: E741 - the letters of the paper
    if s == 0:
        return float(l == 0)
    common = [len(set(short[:d]) & set(long[:d])) for d in range(l + 1)]
    agreement = sum(common[d] / d * p**d for d in range(1, l + 1))
    agreement += sum(common[s] * (d - s) / (s * d) * p**d for d in range(s + 1, l + 1))
    tail = (common[l] - common[s]) / l + common[s] / s
    return min(1.0, (1 - p) / p * agreement + tail * p**l)


def _ranking(hits: Sequence[Hit]) -> _Ranking:
    """The hits by passage; one that is found twice keeps its better rank."""
    ranking: dict[PassagePlace, tuple[int, Hit]] = {}
    for rank, hit in enumerate(hits, start=1):
        ranking.setdefault(hit.place, (rank, hit))
    return ranking


def _overlap(a: str, b: str, first: _Ranking, second: _Ranking) -> Overlap:
    shared = first.keys() & second.keys()
    either = first.keys() | second.keys()
    moves = [abs(first[key][0] - second[key][0]) for key in shared]
    return Overlap(
        a=a,
        b=b,
        shared=len(shared),
        jaccard=len(shared) / len(either) if either else 1.0,
        rbo=rank_biased_overlap(list(first), list(second)),
        mean_rank_difference=fmean(moves) if moves else None,
    )


def _passages(rankings: Mapping[str, _Ranking], depth: int) -> list[ComparedPassage]:
    found = {key: hit for ranking in rankings.values() for key, (_, hit) in ranking.items()}
    passages = [
        ComparedPassage(
            source=hit.source,
            page=hit.page,
            char_start=hit.char_start,
            char_end=hit.char_end,
            text=hit.text,
            ranks={name: ranking[key][0] for name, ranking in rankings.items() if key in ranking},
            scores={
                name: ranking[key][1].score for name, ranking in rankings.items() if key in ranking
            },
        )
        for key, hit in found.items()
    ]

    def order(passage: ComparedPassage) -> tuple[int, int]:
        missed = (len(rankings) - len(passage.ranks)) * (depth + 1)
        return min(passage.ranks.values()), sum(passage.ranks.values()) + missed

    return sorted(passages, key=order)
