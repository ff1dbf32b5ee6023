"""Run directories with made-up samples, and with the metrics that follow from them."""

import csv
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.choice.records import record_of
from eval.choice.sample import ChoiceSample, Shown
from eval.choice.summary import summarise, timings
from eval.datasets.retrieval import RetrievalDataset
from eval.retrieval import summary
from eval.retrieval.sample import RetrievalSample
from eval.runs.directory import RunDirectory
from rag_app.settings import Settings

ARMS = ("closed_book", "rag", "random", "closed_book#2")


def choice_run(
    path: Path,
    *,
    gain: float = 0.3,
    random_gain: float = 0.0,
    questions: int = 200,
    dataset: str = "mmlu",
    revision: str = "r1",
    private: bool = False,
    text: str = "What is it?",
    passage: str = "It is this.",
    subjects: Sequence[str] = ("biology", "law", "physics"),
    arms: Sequence[str] = ARMS,
    unanswered: float = 0.0,
    seed: int = 0,
) -> RunDirectory:
    """A finished run; about half of the questions are right without passages.

    The first `gain` of those that are wrong are right with passages.
    """
    about = {"name": dataset, "revision": revision, "private": private}
    plan = {"dataset": dataset, "arms": ",".join(arms), "seed": seed, "limit": questions}
    run = RunDirectory.create(path, "choice", plan, about, Settings())
    drawn = random.Random(1)  # noqa: S311 - nothing is kept secret by it
    samples = []
    for number in range(questions):
        knows, luck, again = (drawn.random() for _ in range(3))
        for arm in arms:
            right = knows < 0.5
            if arm == "closed_book#2" and again < 0.1:
                right = not right
            helped = {"rag": gain, "random": random_gain}.get(arm.partition(":")[0], 0.0)
            right = right or luck < helped
            right = right and not luck < -helped
            samples.append(
                ChoiceSample(
                    arm=arm,
                    id=f"q{number}",
                    repeat=0,
                    subject=subjects[number % len(subjects)],
                    order=(0, 1, 2, 3),
                    answer=2,
                    chosen=None if luck > 1 - unanswered else 2 if right else number % 2,
                    state="unparsed" if luck > 1 - unanswered else "ok",
                    passages=()
                    if arm.startswith("closed")
                    else (Shown("c", "book.txt", knows, "" if private else passage),),
                    overlap=number % 20 == 0,
                    prompt_tokens=100,
                    completion_tokens=10,
                    flops=1e12,
                    milliseconds=5.0,
                )
            )
    with run.log as log:
        for sample in samples:
            log.append(record_of(sample))
    found = summarise(samples, dataset=dataset, revision=revision, seed=seed, bootstrap=300)
    run.write_json("metrics.json", found)
    run.write_json("timings.json", timings(samples))
    run.write_json("env.json", {"platform": "Linux", "packages": {"scipy": "1.17"}})
    if not private:
        texts = {"question": text, "choices": ["one", "two", text, "four"]}
        run.write_json("questions.json", {f"q{number}": texts for number in range(questions)})
    return run


def retrieval_run(
    path: Path,
    ranks: Mapping[str, Sequence[int]],
    *,
    dataset: str = "beir:scifact",
    revision: str = "r1",
    queries: Sequence[str] = ("first?", "second?", "third?", "fourth?", "fifth?", "sixth?"),
    lengths: Sequence[int] = (),
) -> RunDirectory:
    """A finished run.

    Args:
        ranks: system -> at which rank each query's relevant document is, 0 for nowhere; repeated
            as often as there are queries.
    """
    about = {"name": dataset, "revision": revision, "private": False}
    run = RunDirectory.create(path, "retrieval", {"systems": list(ranks)}, about, Settings())
    texts = {f"q{number}": text for number, text in enumerate(queries)}
    qrels = {query: {"gold": 1, "other": 0} for query in texts}
    asked = RetrievalDataset(dataset, None, texts, qrels, revision)
    samples = {
        name: [
            RetrievalSample(name, query, _hits(at[number % len(at)]), query_tokens=9,
                            flops=1e9 * (1 + len(name)), milliseconds=1.0 + len(name))
            for number, query in enumerate(texts)
        ]
        for system, at in ranks.items()
        for name in (system, *(f"{system}/len={length}" for length in lengths))
    }  # fmt: skip
    every = [one for own in samples.values() for one in own]
    run.write_json("metrics.json", summary.summarise(every, asked, bootstrap=300))
    run.write_json("questions.json", texts)
    with (path / "per_query.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["system", "query", *_COLUMNS])
        for system in ranks:
            values = summary.per_query(samples[system], qrels)
            lines.writerows([system, q, *(values[name][q] for name in _COLUMNS)] for q in texts)
    return run


_COLUMNS = ("ndcg@10", "recall@100", "mrr@10")


def _hits(rank: int) -> tuple[tuple[str, float], ...]:
    found = [f"d{number}" for number in range(1, 12)]
    if rank:
        found[rank - 1] = "gold"
    return tuple((name, 1 / place) for place, name in enumerate(found, start=1))


def metrics(run: RunDirectory) -> dict[str, Any]:
    found: dict[str, Any] = run.read_json("metrics.json")
    return found
