"""Two runs side by side: what was set differently, and what came of it.

Only what both runs asked is compared, question by question; runs over different data are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from eval.choice import comparison
from eval.choice.records import sample_of
from eval.choice.sample import ChoiceSample
from eval.errors import EvalError
from eval.report import verdict
from eval.report.document import Block, Report, Section, Table, Text, Verdict
from eval.report.method import flat
from eval.report.wording import (
    NONE,
    count,
    decimal,
    harmless,
    interval,
    is_probability,
    percent,
    probability,
    signed,
)
from eval.report.writing import config, per_query
from eval.runs.directory import RunDirectory
from eval.statistics.bootstrap import paired_difference
from eval.statistics.holm import holm
from eval.statistics.paired import outcomes, sign_flip
from eval.statistics.rounding import rounded

_METRICS = ("ndcg@10", "recall@100", "mrr@10")
_KINDS = {"choice": "Answer evaluation", "retrieval": "Retrieval evaluation"}
_NO_SETTING = "storage."
"""Where things are kept changes no result."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured in both runs.

    Attributes:
        name: arm or system; both names where they differ.
        metric: accuracy in percent, or a metric of retrieval (0 to 1).
        p: McNemar's exact test for answers, Fisher's randomisation test for metrics.
    """

    name: str
    metric: str
    n: int
    a: float
    b: float
    delta: float
    ci95: Sequence[float]
    p: float
    better: int
    worse: int
    p_holm: float = 1.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that is said about two runs.

    Attributes:
        settings: name, value in a and value in b of each that differs.
        gains: of answer evaluations: pair of arms, points gained in a and in b.
    """

    kind: str
    dataset: Mapping[str, str]
    a: str
    b: str
    settings: Sequence[tuple[str, str, str]]
    rows: Sequence[Row]
    gains: Sequence[tuple[str, float | None, float | None]] = ()
    warnings: Sequence[str] = field(default_factory=tuple)

    def as_dict(self) -> dict[str, Any]:
        """The command line's JSON document, floats at six significant digits."""
        names = ("name", "a", "b")
        found: dict[str, Any] = rounded(
            {
                **asdict(self),
                "settings": [dict(zip(names, row, strict=True)) for row in self.settings],
                "gains": [dict(zip(names, row, strict=True)) for row in self.gains],
            }
        )
        return found


def compare(a: RunDirectory, b: RunDirectory) -> Comparison:
    """Compare two finished runs.

    Raises:
        EvalError: they are of different kinds or data, are not finished, or have nothing in common.
    """
    _require_comparable(a, b)
    metrics = a.read_json("metrics.json"), b.read_json("metrics.json")
    rows, warnings = (_choice if a.kind == "choice" else _retrieval)(a, b, metrics)
    if not rows:
        raise EvalError(
            f"{a.path} and {b.path} have nothing in common",
            cause="no arm or system of the one has a question of the other",
            hint="Run both with the same arms or systems",
        )
    corrected = holm([row.p for row in rows])
    return Comparison(
        kind=a.kind,
        dataset={"name": a.dataset["name"], "revision": a.dataset["revision"]},
        a=str(a.path),
        b=str(b.path),
        settings=_settings(a, b),
        rows=[replace(row, p_holm=p) for row, p in zip(rows, corrected, strict=True)],
        gains=_gains(*metrics),
        warnings=warnings,
    )


def _require_comparable(a: RunDirectory, b: RunDirectory) -> None:
    if a.kind != b.kind:
        raise EvalError(
            f"{a.path} and {b.path} cannot be compared",
            cause=f"the first is an evaluation of {a.kind}, the second of {b.kind}",
        )
    if a.kind not in _KINDS:
        raise EvalError(
            f"{a.path} and {b.path} cannot be compared",
            cause=f"runs of kind {a.kind} have no paired test here",
            hint="Put their reports side by side",
        )
    if a.dataset["revision"] != b.dataset["revision"]:
        datasets = [f"{one.dataset['name']}, revision {one.dataset['revision']}" for one in (a, b)]
        raise EvalError(
            f"{a.path} and {b.path} cannot be compared",
            cause=f"they are of different data: {datasets[0]}, and {datasets[1]}",
            hint="Run both on one data set in one revision",
        )


def _choice(
    a: RunDirectory, b: RunDirectory, metrics: tuple[verdict.Metrics, verdict.Metrics]
) -> tuple[list[Row], list[str]]:
    both = _answers(a), _answers(b)
    rows: list[Row] = []
    warnings: list[str] = []
    names = [arm for arm in both[0] if "#" not in arm], [arm for arm in both[1] if "#" not in arm]
    for first, second in _same(names, (_main_arm(metrics[0]), _main_arm(metrics[1]))):
        before, after = both[0][first], both[1][second]
        pairs = comparison.pairs(after, before)
        if not pairs:
            continue
        repeats = 1 + max(max(asked, default=0) for asked in (*before.values(), *after.values()))
        seed = int(metrics[0].get("seed", 0))
        found = comparison.full(pairs, repeats=repeats, seed=seed, bootstrap=10_000)
        shares = [
            100 * sum(share) / len(pairs)
            for share in zip(*((pair.before, pair.after) for pair in pairs), strict=True)
        ]
        rows.append(
            Row(
                _both(first, second), "accuracy", len(pairs), shares[0], shares[1],
                found["points"], found["ci95"], found["mcnemar_p"], found["gained"], found["lost"],
            )
        )  # fmt: skip
        _warn_of_rest(warnings, rows[-1].name, len(pairs), len(before), len(after))
    if metrics[0].get("seed") != metrics[1].get("seed"):
        warnings.append("The runs have different seeds, so choices stood in different orders.")
    return rows, warnings


def _main_arm(metrics: verdict.Metrics) -> str:
    pair = verdict.main_pair(metrics)
    return pair[1] if pair else ""


def _answers(directory: RunDirectory) -> dict[str, dict[str, dict[int, ChoiceSample]]]:
    """Arm -> question -> repeat -> answer, without texts and without errors."""
    arms: dict[str, dict[str, dict[int, ChoiceSample]]] = {}
    for record in directory.log.read():
        if record["state"] != "error":
            sample = sample_of({**record, "text": "", "passages": ()})
            arms.setdefault(sample.arm, {}).setdefault(sample.id, {})[sample.repeat] = sample
    return arms


def _retrieval(
    a: RunDirectory, b: RunDirectory, metrics: tuple[verdict.Metrics, verdict.Metrics]
) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    warnings: list[str] = []
    names = verdict.ranked(metrics[0]), verdict.ranked(metrics[1])
    pairs = _same(names, (names[0][0], names[1][0]))
    for metric in _METRICS:
        values = per_query(a, metric), per_query(b, metric)
        for first, second in pairs:
            before, after = values[0].get(first, {}), values[1].get(second, {})
            common = sorted(before.keys() & after.keys())
            if not common:
                continue
            x, y = [before[query] for query in common], [after[query] for query in common]
            counts = outcomes(y, x)
            rows.append(
                Row(
                    _both(first, second), metric, len(common), sum(x) / len(x), sum(y) / len(y),
                    (sum(y) - sum(x)) / len(x), paired_difference(y, x).pair(), sign_flip(y, x).p,
                    counts.wins, counts.losses,
                )
            )  # fmt: skip
            if metric == _METRICS[0]:
                _warn_of_rest(warnings, rows[-1].name, len(common), len(before), len(after))
    return rows, warnings


def _same(
    names: tuple[Sequence[str], Sequence[str]], mains: tuple[str, str]
) -> list[tuple[str, str]]:
    """Names in both runs; before them the two main ones, where these are called otherwise."""
    found = [(name, name) for name in names[0] if name in names[1]]
    differ = mains[0] != mains[1] and mains[0] in names[0] and mains[1] in names[1]
    return [mains, *found] if differ else found


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first} → {second}"


def _warn_of_rest(warnings: list[str], name: str, common: int, a: int, b: int) -> None:
    """Say that only a part is compared; names of which the same is to be said are put together."""
    if common == a == b:
        return
    rest = (
        f": compared over the {count(common)} questions that both runs have; A has {count(a)}, "
        f"B {count(b)}."
    )
    for place, warning in enumerate(warnings):
        if warning.endswith(rest):
            warnings[place] = f"{warning.removesuffix(rest)}, {name}{rest}"
            return
    warnings.append(f"{name}{rest}")


def _settings(a: RunDirectory, b: RunDirectory) -> list[tuple[str, str, str]]:
    trees = [{**flat(config(one)), **flat(one.plan, "plan.")} for one in (a, b)]
    return [
        (name, trees[0].get(name, NONE), trees[1].get(name, NONE))
        for name in sorted(trees[0].keys() | trees[1].keys())
        if trees[0].get(name, NONE) != trees[1].get(name, NONE) and not name.startswith(_NO_SETTING)
    ]


def _gains(a: verdict.Metrics, b: verdict.Metrics) -> list[tuple[str, float | None, float | None]]:
    gains = [one.get("delta") or {} for one in (a, b)]
    return [
        (key, *((one.get(key) or {}).get("points") for one in gains))
        for key in dict.fromkeys([*gains[0], *gains[1]])
    ]


def report(found: Comparison) -> Report:
    """What a comparison says, to be written as a page or as Markdown."""
    return Report(
        title="Two runs compared",
        kicker=f"{_KINDS[found.kind]} · {harmless(found.dataset['name'], 200)}",
        verdict=_verdict(found),
        sections=[
            Section("The runs", _runs(found)),
            Section("What differs in the results", _results(found)),
            Section("What differs in the settings", _differing(found)),
        ],
        footer=f"Data set {harmless(found.dataset['name'], 200)}, revision "
        f"{harmless(found.dataset['revision'], 80)}.",
    )


def _verdict(found: Comparison) -> Verdict:
    row = next((row for row in found.rows if row.name.startswith("rag")), found.rows[0])
    in_points = found.kind == "choice"
    places = 1 if in_points else 3
    what = "points" if in_points else row.metric
    test = "McNemar" if in_points else "randomisation test"
    evidence = (
        f"95\u00a0% interval {interval(row.ci95, places)}; {test} {is_probability(row.p)}, "
        f"after Holm {probability(row.p_holm)}"
    )
    low, high = row.ci95
    if row.p_holm < verdict.ALPHA and (low > 0 or high < 0):
        better, worse = ("B", "A") if row.delta > 0 else ("A", "B")
        size = decimal(abs(row.delta), places)
        sentence = f"{row.name}: {better} is better than {worse} by {size} {what}"
    else:
        sentence = (
            f"{row.name}: no difference can be claimed, B has {signed(row.delta, places)} {what}"
        )
    return Verdict(sentence, evidence, found.warnings)


def _runs(found: Comparison) -> list[Block]:
    rows = [["A", harmless(found.a, 300)], ["B", harmless(found.b, 300)]]
    return [Table("Folders", ["run", "folder"], rows, frozenset({1}))]


def _results(found: Comparison) -> list[Block]:
    show: Callable[[float], str] = (
        (lambda share: percent(share / 100)) if found.kind == "choice" else decimal
    )
    places = 1 if found.kind == "choice" else 3
    rows = [
        [
            f"{row.name}, {row.metric}", count(row.n), show(row.a), show(row.b),
            signed(row.delta, places), interval(row.ci95, places),
            f"{signed(row.better, 0)} / {signed(-row.worse, 0)}", probability(row.p),
            ("● " if row.p_holm < verdict.ALPHA else "") + probability(row.p_holm),
        ]
        for row in found.rows
    ]  # fmt: skip
    head = ["", "n", "A", "B", "B − A", "95\u00a0% interval", "better / worse", "p", "p, Holm"]
    blocks: list[Block] = [
        Table("Over the questions that both have", head, rows),
        Text("Paired by question: McNemar's exact test for answers, Fisher's randomisation test "
             "for retrieval; Holm's correction is over all rows. ● is significant at 0.05."),
    ]  # fmt: skip
    if found.gains:
        gains = [[_over(pair), signed(a), signed(b)] for pair, a, b in found.gains]
        blocks.append(Table("Points gained, each over all of its run", ["", "A", "B"], gains))
    return blocks


def _over(pair: str) -> str:
    arm, _, base = pair.rpartition("-")
    return f"{arm} over {base}"


def _differing(found: Comparison) -> list[Block]:
    if not found.settings:
        return [Text("Nothing: both runs were set alike.")]
    rows = [[harmless(cell, 400) for cell in row] for row in found.settings]
    return [Table("Settings and plan", ["name", "A", "B"], rows, frozenset({1, 2}))]
