"""The report of an answer evaluation: what retrieval gains over a closed book."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval.report import answers, plots, verdict
from eval.report.document import Block, Cases, Plot, Report, Section, Table, Text
from eval.report.wording import (
    amount,
    count,
    decimal,
    interval,
    percent,
    probability,
    signed,
    signed_percent,
)
from retrieval import published

Metrics = Mapping[str, Any]


def report(
    metrics: Metrics,
    records: Iterable[Mapping[str, Any]],
    *,
    questions: Mapping[str, Any],
    private: bool,
    timings: Mapping[str, Any],
    method: Sequence[Section],
) -> Report:
    """All that is said about a run.

    Args:
        records: its samples; iterated twice.
        questions: id -> ``{"question", "choices"}``; not used for private data sets.
    """
    pair = verdict.main_pair(metrics)
    arms = answers.outcomes(records)
    return Report(
        title="What retrieval gains",
        kicker=f"Answer evaluation · {metrics['dataset']}",
        verdict=verdict.choice(metrics),
        sections=[
            Section("Accuracy by arm", _accuracy(metrics)),
            Section("Gains", _gains(metrics)),
            Section("Beside published gains", _published(metrics, pair)),
            Section("By subject", _subjects(metrics, pair)),
            Section("What changed", _changes(records, arms, pair, None if private else questions)),
            Section("Contamination", _contamination(metrics)),
            Section("By the score of the best passage", _scores(metrics, pair)),
            Section("What was answered, and at what cost", _answered(metrics, timings)),
            *method,
        ],
        footer=f"Data set {metrics['dataset']}, revision {metrics['revision']}.",
    )


def _accuracy(metrics: Metrics) -> list[Block]:
    arms = metrics["arms"]
    pair = verdict.main_pair(metrics)
    drawn = plots.estimates(
        [
            plots.Estimate(
                name, 100 * arm["accuracy"], [100 * end for end in arm["ci95"]],
                label=percent(arm["accuracy"]), strong=name == (pair or ("", ""))[1],
            )
            for name, arm in arms.items()
        ],
        name="accuracy",
        axis="right answers in percent, with 95\u00a0% interval",
    )  # fmt: skip
    sentence = "; ".join(f"{name} {percent(arm['accuracy'])}" for name, arm in arms.items())
    table = Table(
        "Right answers",
        ["arm", "accuracy", "95\u00a0% interval", "right", "of", "without unparsed"],
        [
            [
                name, percent(arm["accuracy"]), interval(arm["ci95"], scale=100),
                count(arm["correct"]), count(arm["n"]), percent(arm["accuracy_parsed"]),
            ]
            for name, arm in arms.items()
        ],
    )  # fmt: skip
    return [
        Plot(
            drawn,
            "Share of right answers; the full dot is the arm of the verdict",
            f"Accuracy by arm: {sentence}.",
        ),
        table,
    ]


def _gains(metrics: Metrics) -> list[Block]:
    rows = []
    for key, arm, base in verdict.pairs(metrics):
        delta = metrics["delta"][key]
        rows.append([
            f"{arm} over {base}", signed(delta["points"]), interval(delta["ci95"]),
            signed_percent(delta["relative_percent"]), signed(delta["gained"], 0),
            signed(-delta["lost"], 0), probability(delta["mcnemar_p"]),
            decimal(delta.get("mde"), 1),
        ])  # fmt: skip
    if not rows:
        return []
    blocks: list[Block] = [
        Table(
            "Paired differences, in percentage points",
            ["comparison", "points", "95\u00a0% interval", "relative", "gained", "lost",
             "McNemar p", "detectable"],
            rows,
        )
    ]  # fmt: skip
    noise = metrics.get("noise_floor")
    if noise:
        blocks.append(
            Text(
                f"Noise floor: the closed book asked twice gives another answer to "
                f"{percent(noise['disagreement'])} of {count(noise['n'])} questions. What an arm "
                "gains and loses has to be seen beside that."
            )
        )
    blocks.append(
        Text(
            "“Detectable” is the smallest true difference, in points, that a run of this size and "
            "this many changed answers finds four times in five at the level of 0.05. Gained and "
            "lost are questions that only the first or only the second arm gets right; the test is "
            "McNemar's, exact."
        )
    )
    return blocks


def _published(metrics: Metrics, pair: tuple[str, str, str] | None) -> list[Block]:
    others = published.gains(metrics["dataset"])
    if not (others and pair):
        return []
    delta = metrics["delta"][pair[0]]
    rows = [[f"{pair[1]}, here", signed(delta["points"]),
             signed_percent(delta["relative_percent"]), "this run"]]  # fmt: skip
    rows += [[f"{one.system} ▵", "–", signed_percent(value), one.source] for value, one in others]
    blocks: list[Block] = [
        Table(
            "Gain over a closed book",
            ["system", "points", "relative", "source"],
            rows,
            texts=frozenset({3}),
        ),
        Text(
            "▵ Had by another protocol, so the numbers show an order of size and nothing finer. A "
            "relative gain also depends on how much the reader knows without passages."
        ),
    ]
    blocks += [Text(f"{one.system}: {' '.join(one.differs)}") for _, one in others if one.differs]
    return blocks


def _subjects(metrics: Metrics, pair: tuple[str, str, str] | None) -> list[Block]:
    subjects = metrics.get("subjects") or {}
    if not pair or len(subjects) < 2:
        return []
    key, arm, base = pair
    known = {name: one for name, one in subjects.items() if key in one.get("delta", {})}
    order = sorted(known, key=lambda name: (-known[name]["delta"][key]["points"], name))
    if not order:
        return []
    sure = [n for n in order if (known[n]["delta"][key]["holm_p"] or 1) < verdict.ALPHA]
    drawn = plots.bars(
        [(name, known[name]["delta"][key]["points"], name in sure) for name in order],
        name="subjects",
        axis=f"points gained, {arm} over {base}",
    )
    sentence = f"{len(sure)} of {len(order)} subjects differ significantly after Holm's correction"
    span = (
        f"from {order[0]} ({signed(known[order[0]]['delta'][key]['points'])} points) "
        f"to {order[-1]} ({signed(known[order[-1]]['delta'][key]['points'])})"
    )
    rows = [
        [
            name, count(one["n"]), percent(one["accuracy"].get(base)),
            percent(one["accuracy"].get(arm)), signed(one["delta"][key]["points"]),
            probability(one["delta"][key]["mcnemar_p"]),
            ("● " if name in sure else "") + probability(one["delta"][key]["holm_p"]),
        ]
        for name, one in ((name, known[name]) for name in order)
    ]  # fmt: skip
    head = ["subject", "n", base, arm, "points", "p", "p, Holm"]
    return [
        Text(f"{sentence}, {span}. A single subject has few questions: only those marked may be "
             "spoken of."),
        Plot(drawn, "Full bars are significant after Holm's correction, hollow ones are not",
             f"{sentence}, {span}."),
        Table("Every subject", head, rows, folded=len(rows) > 12),
    ]  # fmt: skip


def _changes(
    records: Iterable[Mapping[str, Any]],
    arms: Mapping[str, Mapping[answers.Key, answers.Outcome]],
    pair: tuple[str, str, str] | None,
    questions: Mapping[str, Any] | None,
) -> list[Block]:
    if not pair or pair[1] not in arms or pair[2] not in arms:
        return []
    _, arm, base = pair
    found = answers.changes(arms[base], arms[arm])
    gained, lost = found.gained[: answers.SHOWN], found.lost[: answers.SHOWN]
    cases = answers.cases(records, [*gained, *lost], arm, questions)
    blocks: list[Block] = []
    for title, total, keys in (
        ("Wrong to right", len(found.gained), gained),
        ("Right to wrong", len(found.lost), lost),
    ):
        if keys:
            shown = f"{title}: {count(total)}"
            shown += f", {len(keys)} of them drawn by a hash" if total > len(keys) else ""
            blocks.append(Cases(shown, [cases[key] for key in keys]))
    if blocks:
        blocks.insert(0, Text(
            f"Questions that come out differently with passages ({arm}) than without ({base}), "
            "with what was chosen and the passages that were offered. Letters are those of the "
            "data set; every arm saw one and the same other order."
        ))  # fmt: skip
    return blocks


def _contamination(metrics: Metrics) -> list[Block]:
    slices = metrics.get("contamination") or {}
    names = list(metrics["arms"])
    rows = []
    for key, title in (
        ("overlapping", "some passage repeats 13 words of it"),
        ("overlap_free", "no passage does"),
    ):
        one = slices.get(key)
        if one:
            gain = [
                f"{signed(delta['points'])}" for pair, delta in (one.get("delta") or {}).items()
                if pair == (verdict.main_pair(metrics) or ("",))[0]
            ]  # fmt: skip
            shares = [percent(one["accuracy"].get(name)) for name in names]
            rows.append([title, count(one["n"]), *shares, *(gain or ["–"])])
    if not rows:
        return []
    return [
        Text(
            "A question that stands word for word in a passage may be answered by its neighbour, "
            "the key. The gain should remain where no passage shares 13 words in a row with the "
            "question."
        ),
        Table("Accuracy by overlap", ["question", "n", *names, "points gained"], rows),
    ]


def _scores(metrics: Metrics, pair: tuple[str, str, str] | None) -> list[Block]:
    slices = (metrics.get("deciles") or {}).get(pair[1]) if pair else None
    if not (pair and slices):
        return []
    names = {pair[1]: "accuracy", pair[2]: pair[2]}  # as a slice calls them
    numbers = list(range(1, len(slices) + 1))
    drawn = plots.curves(
        [
            plots.Series(name, numbers, [100 * one[key] for one in slices])
            for name, key in names.items()
            if all(one.get(key) is not None for one in slices)
        ],
        name="scores",
        x_axis="tenth of the questions, by rising score of the best passage",
        y_axis="right answers in percent",
        log2=False,
    )
    rows = [
        [str(number), f"{decimal(one['low'])} to {decimal(one['high'])}", count(one["n"]),
         *(percent(one.get(key)) for key in names.values())]
        for number, one in zip(numbers, slices, strict=True)
    ]  # fmt: skip
    ends = ", ".join(
        f"{name} goes from {percent(slices[0].get(key))} to {percent(slices[-1].get(key))}"
        for name, key in names.items()
    )
    sentence = f"From the lowest tenth to the highest, {ends}."
    return [
        Text(f"Does a better passage make a better answer? {sentence}"),
        Plot(drawn, "Accuracy by the score of the best passage", sentence),
        Table("Tenths of the questions", ["tenth", "score", "n", *names], rows, folded=True),
    ]


def _answered(metrics: Metrics, timings: Mapping[str, Any]) -> list[Block]:
    arms = metrics["arms"]
    states = Table(
        "How answers came out",
        ["arm", "asked", "with a letter", "unparsed", "truncated", "errors", "passages read"],
        [
            [
                name, count(arm["n"] + arm["errors"]),
                count(arm["n"] - arm["unparsed"] - arm["truncated"]), count(arm["unparsed"]),
                count(arm["truncated"]), count(arm["errors"]),
                decimal(arm["passages_used_mean"], 1),
            ]
            for name, arm in arms.items()
        ],
    )  # fmt: skip
    cost = Table(
        "What it took, in sum",
        ["arm", "tokens read", "tokens written", "FLOPs", "p50 ms", "p95 ms"],
        [
            [
                name, count(arm["prompt_tokens"]), count(arm["completion_tokens"]),
                amount(arm["flops"]),
                *(decimal((timings.get(name) or {}).get(key), 0) for key in ("p50_ms", "p95_ms")),
            ]
            for name, arm in arms.items()
        ],
    )  # fmt: skip
    blocks: list[Block] = [states, cost]
    positions = metrics.get("positions") or {}
    letters = sorted({letter for shares in positions.values() for letter in shares})
    if letters:
        blocks.append(
            Table(
                "Where the chosen answers stood",
                ["arm", *letters],
                [[name, *(percent(shares.get(letter, 0.0)) for letter in letters)]
                 for name, shares in positions.items()],
            )
        )  # fmt: skip
        blocks.append(
            Text("Choices are shuffled by question, so each place should be chosen about equally "
                 "often; a reader that prefers one is guessing.")
        )  # fmt: skip
    return blocks
