"""What passages gain on multiple choice without any language model.

    .venv/bin/python -m benchmarks.open_book_choice [--fit] [--passages 10] [--storage DIR]

Questions: OpenStax's own 2,805 at the ends of sections, and the 3,797 of MMLU's test split whose 17
subjects the 11 books cover, over the books' 24,783 passages. Three arms: no passages; those that
the application's default search finds with the chooser's queries; as many random ones.

How the weights were fitted. Nothing was ever chosen or fitted on MMLU's test questions. Weights
come from the OpenStax questions and the 285 questions of MMLU's dev split, by conditional logit
with an L2 penalty. An OpenStax question counts three times: with the passages found; with those
found when its own section and the glossaries are taken away, since most questions of a reader were
not written for a book of theirs; and without passages, so that the closed book is at its best as
well. A book's own figure comes from weights fitted on the other books. MMLU's test split is scored
with those fitted on all, which are `generation.option_scoring.WEIGHTS`; ``--fit`` prints them anew.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import application, arguments, heading, table
from eval.choice.finding import node_of
from eval.choice.random_passages import PassagePool
from eval.datasets import mmlu, openstax
from eval.datasets.choice import Question
from eval.statistics.mcnemar import exact_mcnemar
from generation.option_evidence import NAMES, Terms, TermShares
from generation.option_scoring import WEIGHTS, ScoringChooser
from rag_app.application import Application
from rag_app.assembly.components import encoder
from rag_app.results import Hit
from rag_app.service import QueryOptions
from rag_app.settings import load_settings

Array = npt.NDArray[np.float64]
Hits = npt.NDArray[np.bool_]

SUBJECTS = {
    "anatomy", "astronomy", "college_biology", "college_chemistry", "conceptual_physics",
    "high_school_biology", "high_school_chemistry", "high_school_government_and_politics",
    "high_school_macroeconomics", "high_school_microeconomics", "high_school_physics",
    "high_school_psychology", "human_aging", "medical_genetics", "philosophy", "sociology",
    "virology",
}  # fmt: skip
PENALTY = 100.0
"""Of the squared weights, columns brought to unit variance."""
DEPTH = 50
COLLECTION = "openstax"
ARMS = ("closed", "found", "random", "elsewhere")


@dataclass(frozen=True)
class Example:
    """A question's evidence by arm, each ``(choices, columns)``."""

    book: str
    answer: int
    closed: Array
    found: Array
    random: Array
    elsewhere: Array | None = None


class Examples:
    """Makes examples of questions."""

    def __init__(
        self, app: Application, chooser: ScoringChooser, pool: PassagePool, passages: int
    ) -> None:
        self._app, self._chooser, self._pool, self._passages = app, chooser, pool, passages
        self.seconds = 0.0

    async def of(
        self, questions: Iterable[Question], *, books: bool = False
    ) -> AsyncIterator[Example]:
        """One at a time; `books` says that the questions are OpenStax's own."""
        for one in questions:
            queries = self._chooser.queries(one.question, one.choices)
            options = QueryOptions(top_k=DEPTH)
            lists = [(await self._app.search(COLLECTION, q, options)).hits for q in queries]
            found = self._union(lists)
            nodes = [node_of(hit) for hit in found]
            start = time.perf_counter()
            seen = self._evidence(one, found)
            self.seconds += time.perf_counter() - start
            drawn = self._pool.draw(nodes, 0, one.id)
            elsewhere = None
            if books:
                others = [[hit for hit in hits if _elsewhere(hit, one)] for hits in lists]
                elsewhere = self._evidence(one, self._union(others))
            yield Example(
                one.id.partition(":")[0],
                one.answer,
                self._evidence(one, []),
                seen,
                self._chooser.evidence(one.question, one.choices, drawn).features,
                elsewhere,
            )

    def _union(self, lists: Sequence[Sequence[Hit]]) -> list[Hit]:
        """The best of each list in turn, each passage once."""
        rows = zip_longest(*(hits[: self._passages] for hits in lists))
        return list({hit.passage_id: hit for row in rows for hit in row if hit}.values())

    def _evidence(self, one: Question, hits: Sequence[Hit]) -> Array:
        nodes = [node_of(hit) for hit in hits]
        return self._chooser.evidence(one.question, one.choices, nodes).features


def _elsewhere(hit: Hit, one: Question) -> bool:
    """Whether a passage is neither of the question's own section nor a glossary's."""
    module = one.id.rpartition(":")[0]  # book:module:question
    return not (hit.record_id or "").startswith(f"{module}:") and "Glossary" not in hit.headings


def fit(examples: Sequence[tuple[Array, int]], penalty: float = PENALTY) -> Array:
    """Weights by conditional logit: the likeliest, less a penalty on their squares.

    Args:
        examples: evidence ``(choices, columns)`` and the right choice.
        penalty: half of it times the squared length of the weights is taken off the likelihood,
            columns brought to unit variance.
    """
    from scipy.optimize import minimize

    most = max(len(features) for features, _ in examples)
    x = np.stack([np.pad(f, ((0, most - len(f)), (0, 0))) for f, _ in examples])
    off = np.stack([np.where(np.arange(most) < len(f), 0.0, -1e9) for f, _ in examples])
    answers, rows = np.array([answer for _, answer in examples]), np.arange(len(examples))
    scale = np.sqrt((x**2).mean(axis=(0, 1))) + 1e-12
    x /= scale

    def loss(weights: Array) -> tuple[float, Array]:
        score = x @ weights + off
        score -= score.max(axis=1, keepdims=True)
        odds = np.exp(score)
        odds /= odds.sum(axis=1, keepdims=True)
        value = -np.log(odds[rows, answers] + 1e-300).sum() + penalty / 2 * weights @ weights
        odds[rows, answers] -= 1
        return value, np.tensordot(odds, x, ((0, 1), (0, 1))) + penalty * weights

    return np.asarray(minimize(loss, np.zeros(x.shape[2]), jac=True, method="L-BFGS-B").x / scale)


def training(examples: Iterable[Example]) -> list[tuple[Array, int]]:
    """What the weights are fitted on."""
    shown = ((e, features) for e in examples for features in (e.found, e.elsewhere, e.closed))
    return [(features, e.answer) for e, features in shown if features is not None]


def right(examples: Sequence[Example], weights: Array) -> dict[str, Hits]:
    """For each arm, which questions are answered right."""
    answers = np.array([e.answer for e in examples])
    return {
        arm: np.array([(getattr(e, arm) @ weights).argmax() for e in examples]) == answers
        for arm in ARMS
        if getattr(examples[0], arm) is not None
    }


def by_book(examples: Sequence[Example], others: Sequence[Example]) -> dict[str, Hits]:
    """`right` for OpenStax's questions, each book by weights that were fitted without it."""
    parts: dict[str, list[Hits]] = {}
    for book in sorted({e.book for e in examples}):
        weights = fit(training([*(e for e in examples if e.book != book), *others]))
        for arm, hits in right([e for e in examples if e.book == book], weights).items():
            parts.setdefault(arm, []).append(hits)
    return {arm: np.concatenate(hits) for arm, hits in parts.items()}


def report(name: str, hits: dict[str, Hits]) -> list[list[str]]:
    """Rows of the table: each arm, and its gain over the closed book."""
    rows = []
    for arm, these in hits.items():
        gained, lost = (these & ~hits["closed"]).sum(), (hits["closed"] & ~these).sum()
        p = f"{exact_mcnemar(int(gained), int(lost)):.2g}" if arm != "closed" else ""
        gain = 100 * (these.mean() - hits["closed"].mean())
        rows.append([name, str(len(these)), arm, f"{100 * these.mean():.2f}", f"{gain:+.2f}", p])
    return rows


async def measure(app: Application, data: Path, passages: int) -> dict[str, list[Example]]:
    """Examples of OpenStax's questions, MMLU's dev split, and its test split."""
    await app.ingest(COLLECTION, [data / "openstax" / "passages.jsonl"])
    hits = [hit async for batch in app.passages(COLLECTION) for hit in batch.passages]
    terms = Terms()
    shares = TermShares((" ".join([*hit.headings, hit.text]) for hit in hits), terms)
    model = encoder(load_settings(overrides={"encoder": {"workers": 1}}))
    chooser = ScoringChooser(
        lambda texts: model.encode_passages(texts).vectors,
        encoder=model.fingerprint,
        share=shares,
        shares=shares.fingerprint,
        weights=WEIGHTS or dict.fromkeys(NAMES, 0.0),
    )
    sets = {
        "dev": mmlu.find(data, data, "dev").questions,
        "openstax": openstax.choice(data).questions,
        "test": [q for q in mmlu.find(data, data).questions if q.subject in SUBJECTS],
    }
    made = {}
    for name, questions in sets.items():
        examples = Examples(app, chooser, PassagePool(hits), passages)
        books = name == "openstax"
        made[name] = [example async for example in examples.of(questions, books=books)]
        print(
            f"{name}: {1000 * examples.seconds / len(questions):.0f} ms of choosing a question",
            flush=True,
        )
    model.close()
    return made


def main() -> None:
    """Print the table."""
    parser = arguments("What passages gain on multiple choice without a language model")
    parser.add_argument("--fit", action="store_true", help="print the weights anew")
    parser.add_argument("--passages", type=int, default=10, help="passages kept of each query")
    chosen = parser.parse_args()
    heading("Open-book multiple choice without a language model")
    with application(chosen.storage) as app:
        made = asyncio.run(measure(app, chosen.data, chosen.passages))
    weights = fit(training([*made["openstax"], *made["dev"]]))
    if chosen.fit:
        print({name: round(float(w), 3) for name, w in zip(NAMES, weights, strict=True)}, "\n")
    shipped = np.array([WEIGHTS[name] for name in NAMES])
    rows = report("OpenStax, by book", by_book(made["openstax"], made["dev"]))
    rows += report("MMLU test, 17 subjects", right(made["test"], shipped))
    table(["questions", "n", "passages", "right, %", "gain, points", "McNemar p"], rows)


if __name__ == "__main__":
    main()
