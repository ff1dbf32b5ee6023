"""The numbers of an answer evaluation, from its samples: what metrics.json holds.

Errors are no answers: they are counted, and left out of all else. Answers that are unparsed or
truncated are wrong. Samples may come in any order and the result is the same to the byte; each is
of another arm, question and repeat.
"""

import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean
from typing import Any

import numpy as np

from eval.choice import comparison
from eval.choice.comparison import Answers, Pair
from eval.choice.sample import ChoiceSample
from eval.statistics.bootstrap import bootstrap_mean
from eval.statistics.intervals import wilson
from eval.statistics.rounding import rounded

CLOSED_BOOK, RANDOM = "closed_book", "random"
DECILES = 10
_REPLICATE = re.compile(r"#\d+$")


@dataclass(frozen=True, slots=True)
class _Run:
    """Samples by arm, the parameters of the bootstrap, and the number of repeats."""

    arms: Mapping[str, Answers]
    errors: Mapping[str, int]
    repeats: int
    seed: int
    bootstrap: int

    def compared(self) -> list[str]:
        """The arms but for replicates, which only say how much noise there is."""
        return [name for name in self.arms if not _REPLICATE.search(name)]

    def answers(self, arm: str) -> list[ChoiceSample]:
        """Every answer of an arm, by question and repeat."""
        return [sample for repeats in self.arms[arm].values() for sample in repeats.values()]


def summarise(
    samples: Iterable[ChoiceSample],
    *,
    dataset: str,
    revision: str,
    seed: int,
    bootstrap: int = 10_000,
) -> dict[str, Any]:
    """Everything that metrics.json says, floats at six significant digits.

    Args:
        samples: of all arms; what they hold of texts is let go of at once.
    """
    run = _read(samples, seed, bootstrap)
    subjects = {
        question: next(iter(a.values())).subject
        for q in run.arms.values()
        for question, a in q.items()
    }
    pairs = {
        f"{arm}-{base}": found
        for arm, base in _pairs(run.compared())
        if (found := comparison.pairs(run.arms[arm], run.arms[base]))
    }
    result: dict[str, Any] = rounded(
        {
            "dataset": dataset,
            "revision": revision,
            "n": len(subjects),
            "seed": seed,
            "repeats": run.repeats,
            "subjects_chosen": sorted(set(subjects.values()) - {""}),
            "arms": {arm: _arm(run, arm) for arm in run.arms},
            "delta": {pair: _full(run, compared) for pair, compared in pairs.items()},
            "noise_floor": _noise_floor(run.arms),
            "subjects": _subjects(run, subjects, pairs),
            "contamination": _contamination(run, pairs),
            "positions": {arm: _positions(run.answers(arm)) for arm in run.arms},
            "deciles": {
                arm: deciles
                for arm in filter(_retrieves, run.compared())
                if (deciles := _deciles(run, arm))
            },
        }
    )
    return result


def timings(samples: Iterable[ChoiceSample]) -> dict[str, dict[str, float]]:
    """Arm -> wall time of a question: ``n``, ``mean_ms``, ``p50_ms``, ``p95_ms``; errors left out.

    Apart from the rest, since no two runs take the same time.
    """
    durations: dict[str, list[float]] = {}
    for sample in samples:
        if sample.state != "error":
            durations.setdefault(sample.arm, []).append(sample.milliseconds)
    result: dict[str, dict[str, float]] = rounded(
        {
            arm: {
                "n": len(times),
                "mean_ms": fmean(times),
                "p50_ms": float(np.percentile(times, 50)),
                "p95_ms": float(np.percentile(times, 95)),
            }
            for arm, times in sorted(durations.items())
        }
    )
    return result


def _read(samples: Iterable[ChoiceSample], seed: int, bootstrap: int) -> _Run:
    """Sort the samples, each stripped of its texts, so that a large run fits into memory."""
    errors: Counter[str] = Counter()
    slim = []
    for sample in samples:
        best = max(sample.passages, key=lambda passage: passage.score, default=None)
        kept = () if best is None else (replace(best, text=""),)
        slim.append(replace(sample, text="", detail="", passages=kept))
    slim.sort(key=lambda sample: (sample.arm, sample.id, sample.repeat))
    arms: dict[str, dict[str, dict[int, ChoiceSample]]] = {}
    for sample in slim:
        arm = arms.setdefault(sample.arm, {})
        if sample.state == "error":
            errors[sample.arm] += 1
        else:
            arm.setdefault(sample.id, {})[sample.repeat] = sample
    repeats = max((sample.repeat for sample in slim), default=0) + 1
    return _Run(arms, errors, repeats, seed, bootstrap)


def _retrieves(arm: str) -> bool:
    return arm == "rag" or arm.startswith("rag:")


def _pairs(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Each arm with the closed book, and each that retrieves with random passages."""
    found = [(arm, CLOSED_BOOK) for arm in arms if arm != CLOSED_BOOK and CLOSED_BOOK in arms]
    return found + [(arm, RANDOM) for arm in arms if _retrieves(arm) and RANDOM in arms]


def _full(run: _Run, compared: Sequence[Pair]) -> dict[str, Any]:
    return comparison.full(compared, repeats=run.repeats, seed=run.seed, bootstrap=run.bootstrap)


def _arm(run: _Run, name: str) -> dict[str, Any]:
    """An arm's numbers; ``n`` and all counts are of answers, tokens and FLOPs are sums."""
    answers = run.answers(name)
    states = Counter(answer.state for answer in answers)
    correct = sum(answer.correct for answer in answers)
    shares = _shares(run.arms[name])
    if run.repeats == 1 or not shares:
        interval = wilson(correct, len(answers))
    else:
        interval = bootstrap_mean(list(shares.values()), resamples=run.bootstrap, seed=run.seed)
    return {
        "accuracy": _mean(shares.values()),
        "ci95": interval.pair(),
        "n": len(answers),
        "correct": correct,
        "unparsed": states["unparsed"],
        "truncated": states["truncated"],
        "errors": run.errors.get(name, 0),
        "accuracy_parsed": correct / states["ok"] if states["ok"] else None,
        "passages_used_mean": _mean([answer.passages_used for answer in answers]),
        "prompt_tokens": sum(answer.prompt_tokens for answer in answers),
        "completion_tokens": sum(answer.completion_tokens for answer in answers),
        "flops": float(sum(answer.flops for answer in answers)),
    }


def _shares(answers: Answers) -> dict[str, float]:
    """Question -> share of its repeats that are right."""
    return {
        question: fmean(one.correct for one in asked.values())
        for question, asked in answers.items()
    }


def _mean(values: Iterable[float]) -> float:
    """0 for no values."""
    listed = list(values)
    return fmean(listed) if listed else 0.0


def _noise_floor(arms: Mapping[str, Answers]) -> dict[str, Any] | None:
    """How often an arm that is asked twice differs from itself; the closed book if it was.

    ``disagreement`` is of the choice, ``discordance`` of being right.
    """
    twice = [(name, _REPLICATE.sub("", name)) for name in arms if _REPLICATE.search(name)]
    both = [pair for pair in twice if pair[1] in arms]
    if not both:
        return None
    again, name = min(both, key=lambda pair: (pair[1] != CLOSED_BOOK, pair))
    answers = [
        (one, arms[name][question][repeat])
        for question, asked in arms[again].items()
        for repeat, one in asked.items()
        if repeat in arms[name].get(question, {})
    ]
    return {
        "arm": name,
        "n": len(answers),
        "disagreement": _mean([one.chosen != other.chosen for one, other in answers]),
        "discordance": _mean([one.correct != other.correct for one, other in answers]),
    }


def _subjects(
    run: _Run, subjects: Mapping[str, str], pairs: Mapping[str, Sequence[Pair]]
) -> dict[str, Any]:
    """Each subject's numbers; empty where questions have none."""
    if set(subjects.values()) <= {""}:
        return {}
    sizes = Counter(subjects.values())
    shares: dict[str, dict[str, list[float]]] = {name: {} for name in sorted(sizes)}
    for arm in run.compared():
        for question, share in _shares(run.arms[arm]).items():
            shares[subjects[question]].setdefault(arm, []).append(share)
    deltas = {pair: comparison.by_subject(compared) for pair, compared in pairs.items()}
    return {
        name: {
            "n": sizes[name],
            "accuracy": {arm: fmean(values) for arm, values in by_arm.items()},
            "delta": {pair: found[name] for pair, found in deltas.items() if name in found},
        }
        for name, by_arm in shares.items()
    }


def _contamination(run: _Run, pairs: Mapping[str, Sequence[Pair]]) -> dict[str, Any] | None:
    """Questions that a passage of any arm overlaps with, and all others; None without passages."""
    shown = [one for arm in run.compared() for one in run.answers(arm) if one.passages]
    if not shown:
        return None
    overlapping = {one.id for one in shown if one.overlap}
    everyone = {question for answers in run.arms.values() for question in answers}
    free = _slice(run, everyone - overlapping)
    free["delta"] = {
        pair: _full(run, kept)
        for pair, compared in pairs.items()
        if (kept := [one for one in compared if one.id not in overlapping])
    }
    return {"overlapping": _slice(run, overlapping), "overlap_free": free}


def _slice(run: _Run, ids: set[str]) -> dict[str, Any]:
    accuracy = {
        arm: [share for question, share in _shares(run.arms[arm]).items() if question in ids]
        for arm in run.compared()
    }
    return {
        "n": len(ids),
        "accuracy": {arm: fmean(shares) for arm, shares in accuracy.items() if shares},
    }


def _positions(answers: Sequence[ChoiceSample]) -> dict[str, float]:
    """Shown letter -> share of the answers that chose it."""
    letters = string.ascii_uppercase[: max((len(one.order) for one in answers), default=0)]
    chosen = Counter(
        one.order.index(one.chosen)
        for one in answers
        if one.state == "ok" and one.chosen is not None
    )
    total = chosen.total()
    return {letter: chosen[i] / total for i, letter in enumerate(letters)} if total else {}


def _deciles(run: _Run, arm: str) -> list[dict[str, Any]]:
    """Accuracy by tenths of the best passage's score; none for fewer than 20, or one score.

    Beside it that of the closed book over the same questions, where it answered any.
    """
    scored = sorted(
        (one.passages[0].score, one.id, one.repeat, one.correct)
        for one in run.answers(arm)
        if one.passages
    )
    if len(scored) < 2 * DECILES or scored[0][0] == scored[-1][0]:
        return []
    without = run.arms.get(CLOSED_BOOK, {})
    ends = [part * len(scored) // DECILES for part in range(DECILES + 1)]
    found = []
    for low, high in pairwise(ends):
        tenth = scored[low:high]
        closed = [without[name][r].correct for _, name, r, _ in tenth if r in without.get(name, {})]
        found.append(
            {
                "low": tenth[0][0],
                "high": tenth[-1][0],
                "n": len(tenth),
                "accuracy": fmean(correct for *_, correct in tenth),
                CLOSED_BOOK: fmean(closed) if closed else None,
            }
        )
    return found
