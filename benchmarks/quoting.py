"""What the answers without a language model are worth, and the fit of their weights.

    .venv/bin/python -m benchmarks.quoting [--fit | --samples] [--storage DIR]

Data: XQuAD's 1,190 English questions over 240 paragraphs, parted in two by paragraph; SciFact and
Cranfield (their questions with a relevant document among the first five found, parted in two by
question); the 20 questions of the samples; 400 of OpenStax's questions. ``--fit`` fits on the
first halves and the samples, and every figure is of the second halves. Everything is searched with
the application's defaults. The shipped weights were made so. ``--samples`` asks the samples' own
questions alone, and for the rows of their tables by the codes that name them.

Quoting: conditional logit over the sentences of the passages found for a question, the right ones
being those of its paragraph that hold the answer. Abstention: logistic regression; answerable are
the questions on their own collections, and on XQuAD without a third of its paragraphs those whose
paragraph stayed; not answerable are those whose paragraph was taken out, and the questions of one
collection put to another. The threshold gives up `GIVEN_UP` of XQuAD's answerable questions.
The weights are printed as `generation.fitted_weights` holds them.
"""

import asyncio
import csv
import hashlib
import json
import random
import re
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_index.core.schema import NodeWithScore, TextNode

from benchmarks.common import application, arguments, heading, percentile, table
from data.tables import cells
from generation.answerability import SIGNS, describe
from generation.evidence import FEATURES, Evidence, EvidenceFinder
from generation.fitted_weights import ANSWERABILITY, BIAS, THRESHOLD
from generation.passage_units import header_rows, parse_blocks
from generation.quoting import QuotingReader
from generation.reading import Reading, TextDelta
from generation.vector_memory import VectorMemory
from rag_app.application import Application
from rag_app.assembly.components import encoder
from rag_app.results import Hit
from rag_app.service import QueryOptions
from rag_app.settings import load_settings

Array = npt.NDArray[np.float64]

GIVEN_UP = 0.035
PASSAGES = 8
FIRST, SECOND = 0, 1
PENALTIES = {"quoting": 2.0, "abstention": 3.0}
ELSEWHERE = (
    ("xquad", "samples"), ("openstax", "xquad"), ("scifact", "xquad"), ("xquad", "scifact"),
    ("cranfield", "xquad"), ("xquad", "cranfield"),
)  # fmt: skip
"""Questions of a field, and the collection of another that they are put to."""


@dataclass(frozen=True)
class Asked:
    """A question put to a collection: what was found, and which half of the data it is in."""

    question: str
    answers: Sequence[str]
    home: str
    half: int
    passages: Sequence[NodeWithScore]
    answerable: bool = True


def part(name: str, parts: int = 2) -> int:
    """A part of the data, drawn by name."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % parts


def holds(text: str, answers: Iterable[str]) -> bool:
    """Whether one of the answers stands in the text, punctuation and case aside."""
    words = f" {_words(text)} "
    return any(f" {_words(answer)} " in words for answer in answers)


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _node(hit: Hit) -> NodeWithScore:
    metadata = {
        "source": hit.source, "headings": list(hit.headings), "passage_id": hit.record_id,
    }  # fmt: skip
    return NodeWithScore(node=TextNode(text=hit.text, metadata=metadata), score=hit.score)


def _of_rows(text: str) -> Iterator[tuple[str, str]]:
    for block in parse_blocks(text):
        lines = text[block.start : block.end].splitlines()
        if block.kind != "table" or not (top := header_rows(lines)):
            continue
        names = cells(lines[top - 2])
        for code, *values in map(cells, lines[top:]):
            if re.fullmatch(r"[A-Z]{1,3}-?\d+", code):
                for name, value in zip(names[1:], values, strict=False):
                    if name and value:
                        yield f"What is the {name.lower()} of {code}?", code


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class Questions:
    """Asks collections, and keeps what they found."""

    def __init__(self, app: Application, data: Path) -> None:
        self._app, self._data = app, data
        self.removed: set[str] = set()

    async def prepare(self) -> None:
        """Ingest the collections; XQuAD a second time without a third of its paragraphs."""
        beir = self._data / "beir"
        corpus = _lines(beir / "xquad_en" / "corpus.jsonl")
        self.removed = {row["_id"] for row in corpus if part(f"third:{row['_id']}", 3) == 0}
        with tempfile.TemporaryDirectory() as scratch:
            rest = Path(scratch) / "rest.jsonl"
            rows = [row for row in corpus if row["_id"] not in self.removed]
            rest.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
            await self._app.ingest("rest", [rest])
        await self._app.ingest("xquad", [beir / "xquad_en" / "corpus.jsonl"])
        for name in ("scifact", "cranfield"):
            await self._app.ingest(name, [beir / name / "corpus.jsonl"])
        await self.prepare_samples()

    async def prepare_samples(self) -> None:
        """Ingest the samples alone."""
        samples = resources.files("data") / "samples" / "documents"
        await self._app.ingest("samples", [Path(str(samples))])

    async def find(self, question: str, collection: str) -> list[NodeWithScore]:
        """The passages that a reader would be given."""
        found = await self._app.search(collection, question, QueryOptions(top_k=PASSAGES))
        return [_node(hit) for hit in found.hits]

    async def tables(self) -> list[tuple[str, str]]:
        """A question for each value of the samples' tables whose row has a code, and the code."""
        asked = []
        async with aclosing(self._app.passages("samples")) as batches:
            async for batch in batches:
                for hit in batch.passages:
                    asked += list(_of_rows(hit.text))
        return list(dict.fromkeys(asked))

    async def ask(self, name: str, collection: str) -> list[Asked]:
        """The questions of a data set put to a collection."""
        asked = []
        gold = self._gold(name) if name == collection else None
        for row in self.rows(name):
            text = row.get("text") or row["question"]
            found = await self.find(text, collection)
            if gold is not None and not any(
                one.node.metadata["passage_id"] in gold.get(str(row["_id"]), ())
                for one in found[:5]
            ):
                continue
            home = row.get("paragraph", "")
            asked.append(
                Asked(
                    text,
                    row.get("answers", ()),
                    home,
                    part(f"half:{home}") if home else part(f"q:{text}"),
                    found,
                    name == collection or (collection == "rest" and home not in self.removed),
                )
            )
        return asked

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The questions of a data set as its file has them."""
        if name == "samples":
            return _lines(Path(str(resources.files("data") / "samples" / "questions.jsonl")))
        if name == "openstax":
            rows = _lines(self._data / "openstax" / "mcq.jsonl")
            random.Random(0).shuffle(rows)
            return rows[:400]
        folder = {"xquad": "xquad_en"}.get(name, name)
        return _lines(self._data / "beir" / folder / "queries.jsonl")

    def _gold(self, name: str) -> dict[str, set[str]] | None:
        if name not in {"scifact", "cranfield"}:
            return None
        gold: dict[str, set[str]] = {}
        with (self._data / "beir" / name / "qrels" / "test.tsv").open() as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                if int(row["score"]) > 0:
                    gold.setdefault(row["query-id"], set()).add(row["corpus-id"])
        return gold


def right_units(one: Asked, evidence: Evidence) -> npt.NDArray[np.bool_]:
    """Which candidates stand in the question's own paragraph and hold the answer."""
    nodes = [passage.node for passage in one.passages]
    return np.array(
        [
            nodes[c.n - 1].metadata["passage_id"] == one.home
            and holds(nodes[c.n - 1].get_content()[slice(*c.unit.core)], one.answers)
            for c in evidence.candidates
        ]
    )


def fit_quoting(examples: Sequence[tuple[Array, npt.NDArray[np.bool_]]]) -> Array:
    """Weights by conditional logit with several right candidates and an L2 penalty."""
    from scipy.optimize import minimize

    scale = np.concatenate([x for x, _ in examples]).std(axis=0)
    scale[scale == 0] = 1.0
    scaled = [(x / scale, right) for x, right in examples if right.any()]
    penalty = PENALTIES["quoting"]

    def loss(weights: Array) -> tuple[float, Array]:
        value, slope = penalty / 2 * float(weights @ weights), penalty * weights
        for x, right in scaled:
            odds = np.exp((score := x @ weights) - score.max())
            value -= float(np.log(odds[right].sum() / odds.sum() + 1e-300))
            slope = slope + odds @ x / odds.sum() - odds[right] @ x[right] / odds[right].sum()
        return value, slope

    return np.asarray(minimize(loss, np.zeros(len(scale)), jac=True, method="L-BFGS-B").x / scale)


def fit_abstention(groups: Sequence[tuple[Array, bool, float]]) -> tuple[Array, float]:
    """Weights and bias by logistic regression; each group counts as much as its weight says."""
    from scipy.optimize import minimize

    x = np.concatenate([rows for rows, _, _ in groups])
    y = np.concatenate([np.full(len(rows), float(label)) for rows, label, _ in groups])
    each = np.concatenate([np.full(len(r), 1000 * w / len(r)) for r, _, w in groups])
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.c_[(x - mean) / scale, np.ones(len(x))]
    ridge = np.r_[np.full(x.shape[1], PENALTIES["abstention"]), 0.0]

    def loss(weights: Array) -> tuple[float, Array]:
        score = z @ weights
        value = (each * (np.logaddexp(0, score) - y * score)).sum() + ridge @ weights**2 / 2
        return float(value), z.T @ (each * (1 / (1 + np.exp(-score)) - y)) + ridge * weights

    found = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / scale
    return weights, float(found[-1] - weights @ mean)


class Measure:
    """All sets of questions with their evidence."""

    def __init__(self, finder: EvidenceFinder) -> None:
        self._finder = finder
        self.sets: dict[str, list[tuple[Asked, Array]]] = {}
        self.quoting: list[tuple[Asked, Array, npt.NDArray[np.bool_]]] = []

    async def collect(self, questions: Questions) -> None:
        """Ask everything."""
        await questions.prepare()
        own = [(name, name) for name in ("xquad", "scifact", "cranfield", "samples")]
        for name, collection in [*own, ("xquad", "rest"), *ELSEWHERE]:
            rows = []
            for one in await questions.ask(name, collection):
                evidence = self._finder.find(one.question, one.passages)
                rows.append((one, describe(evidence)))
                if name == collection == "xquad":
                    right = right_units(one, evidence)
                    self.quoting.append((one, evidence.features, right))
            self.sets[f"{name}@{collection}"] = rows
            print(f"{name} at {collection}: {len(rows)}", flush=True)

    def signs(self, name: str, half: int | None, answerable: bool | None = None) -> Array:
        """`describe` of a set's questions, of one half or of all."""
        return np.array(
            [
                signs
                for one, signs in self.sets[name]
                if half in {None, one.half} and answerable in {None, one.answerable}
            ]
        )

    def fit(self) -> tuple[Array, Array, float, float]:
        """Weights of quoting, of abstention, its bias and threshold, from the first halves."""
        quoting = fit_quoting([(x, right) for one, x, right in self.quoting if one.half == FIRST])
        groups = [
            (self.signs("xquad@xquad", FIRST), True, 1.0),
            (self.signs("xquad@rest", FIRST, True), True, 0.3),
            (self.signs("xquad@rest", FIRST, False), False, 0.7),
            (self.signs("scifact@scifact", FIRST), True, 0.4),
            (self.signs("cranfield@cranfield", FIRST), True, 0.4),
            (self.signs("samples@samples", None), True, 0.3),
            *((self.signs(f"{a}@{b}", FIRST), False, 0.25) for a, b in ELSEWHERE),
        ]
        weights, bias = fit_abstention(groups)
        cut = float(np.quantile(groups[0][0] @ weights + bias, GIVEN_UP))
        return quoting, weights, bias, cut


def report_abstention(measure: Measure, weights: Array, bias: float, cut: float) -> None:
    """Tables of the second halves: at the threshold, and the curve."""

    def below(name: str, cut: float, answerable: bool | None = None) -> tuple[int, int]:
        scores = measure.signs(name, SECOND, answerable) @ weights + bias
        return int((scores < cut).sum()), len(scores)

    def share(found: Sequence[tuple[int, int]]) -> str:
        return f"{100 * sum(a for a, _ in found) / max(1, sum(n for _, n in found)):.1f} %"

    rows = []
    for name, answerable in (
        ("xquad@xquad", None), ("xquad@rest", True), ("scifact@scifact", None),
        ("cranfield@cranfield", None),
    ):  # fmt: skip
        rows.append([name, "answerable", share([below(name, cut, answerable)])])
    rows.append(["xquad@rest", "paragraph taken out", share([below("xquad@rest", cut, False)])])
    others = [f"{a}@{b}" for a, b in ELSEWHERE]
    rows += [[name, "another field", share([below(name, cut)])] for name in others]
    rows.append(["together", "another field", share([below(name, cut) for name in others])])
    table(["questions@collection", "kind", "abstained"], rows)
    scores = measure.signs("xquad@xquad", SECOND) @ weights + bias
    curve = []
    for given_up in (0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.2):
        at = float(np.quantile(scores, given_up))
        curve.append(
            [
                f"{100 * given_up:.0f} %",
                share([below("xquad@rest", at, False)]),
                share([below(name, at) for name in others]),
            ]
        )
    table(["answerable, given up", "paragraph taken out", "another field"], curve)


async def report_quotes(
    measure: Measure, reader: QuotingReader, counted: Mapping[str, int]
) -> None:
    """What the shipped reader says to XQuAD's second half."""
    first = best = some = 0
    counts, wall, used = [], [], []
    rows = [one for one, _, _ in measure.quoting if one.half == SECOND]
    for one in rows:
        start, cpu = time.perf_counter(), time.process_time()
        async for event in reader.read(one.question, one.passages):
            if isinstance(event, Reading):
                reading = event
        wall.append(1000 * (time.perf_counter() - start))
        used.append(1000 * (time.process_time() - cpu))
        quotes = [quote.text for citation in reading.citations for quote in citation.quotes]
        bold = re.search(r"\*\*(.*?)\*\*(?!\*)", reading.text, re.DOTALL)
        best += bool(bold) and holds(bold[1], one.answers)
        first += bool(quotes) and holds(quotes[0], one.answers)
        some += any(holds(quote, one.answers) for quote in quotes)
        counts.append(len(quotes))
    n = len(rows)
    table(
        ["XQuAD, second half", ""],
        [
            ["questions", n],
            ["first quotation holds the answer", f"{100 * first / n:.1f} %"],
            ["its sentence in bold alone does (none where it abstains)", f"{100 * best / n:.1f} %"],
            ["some quotation holds it", f"{100 * some / n:.1f} %"],
            ["quotations, median", statistics.median(counts)],
            ["reading, median", f"{statistics.median(wall):.1f} ms"],
            ["reading, p95", f"{percentile(wall, 0.95):.1f} ms"],
            ["processor time a question, mean", f"{statistics.mean(used):.1f} ms"],
            ["sentences encoded in all", counted["texts"]],
        ],
    )


async def report_samples(questions: Questions, reader: QuotingReader) -> None:
    """Whether the first quotation answers each of the samples' questions, by its own words."""
    await questions.prepare_samples()
    rows, right = [], 0
    for row in questions.rows("samples"):
        first, reading = await _first(
            reader, row["question"], await questions.find(row["question"], "samples")
        )
        some = [quote.text for citation in reading.citations for quote in citation.quotes]
        here, there = holds(first, row["quotes"]), any(holds(q, row["quotes"]) for q in some)
        right += here and not reading.abstained
        verdict = "first" if here else "another" if there else "none"
        rows.append([row["id"], verdict, "abstained" if reading.abstained else "", _short(first)])
    table(["question", "quotation that answers", "", "first quotation"], rows)
    print(f"first quotation answers: {right} of {len(rows)}\n")
    asked = await questions.tables()
    found = 0
    for question, code in asked:
        first, _ = await _first(reader, question, await questions.find(question, "samples"))
        found += f"| {code} |" in first
    print(f"the row of the code that is asked about comes first: {found} of {len(asked)}\n")


async def _first(
    reader: QuotingReader, question: str, passages: Sequence[NodeWithScore]
) -> tuple[str, Reading]:
    """The first quotation as it is shown, and the whole."""
    pieces, reading = [], None
    async for event in reader.read(question, passages):
        if isinstance(event, TextDelta):
            pieces.append(event.text)
        elif isinstance(event, Reading):
            reading = event
    assert reading is not None
    return pieces[1 if reading.abstained and len(pieces) > 1 else 0], reading


def _short(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:160]


def _rounded(names: Sequence[str], values: Array) -> dict[str, float]:
    return {name: round(float(value), 3) for name, value in zip(names, values, strict=True)}


def main() -> None:
    """Print the tables."""
    parser = arguments("What answers without a language model are worth")
    parser.add_argument("--fit", action="store_true", help="print the weights anew")
    parser.add_argument("--samples", action="store_true", help="the samples' questions alone")
    chosen = parser.parse_args()
    heading("Quoting and abstention")
    model = encoder(load_settings(overrides={"encoder": {"workers": 1}}))
    counted = {"texts": 0}

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        counted["texts"] += len(texts)
        return model.encode_passages(texts).vectors

    def new_finder() -> EvidenceFinder:
        return EvidenceFinder("english", VectorMemory(embed, 50_000), model.encode_query)

    if chosen.samples:
        with application(chosen.storage) as app:
            questions = Questions(app, chosen.data)
            asyncio.run(report_samples(questions, QuotingReader(finder=new_finder())))
        model.close()
        return
    measure = Measure(new_finder())
    with application(chosen.storage) as app:
        asyncio.run(measure.collect(Questions(app, chosen.data)))
    quoting, weights, bias, cut = measure.fit()
    if chosen.fit:
        print("QUOTING =", _rounded(FEATURES, quoting))
        print("ANSWERABILITY =", _rounded(SIGNS, weights))
        print(f"BIAS = {bias:.3f}\nTHRESHOLD = {1 / (1 + np.exp(-cut)):.4f}\n", flush=True)
    shipped = np.array([ANSWERABILITY[name] for name in SIGNS])
    report_abstention(measure, shipped, BIAS, float(np.log(THRESHOLD / (1 - THRESHOLD))))
    counted["texts"] = 0
    asyncio.run(report_quotes(measure, QuotingReader(finder=new_finder()), counted))
    model.close()


if __name__ == "__main__":
    main()
