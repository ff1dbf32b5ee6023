"""The report of a retrieval evaluation: which system finds what the judges found relevant."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from eval.report import plots, verdict
from eval.report.document import Block, Case, Cases, Plot, Report, Section, Table, Text
from eval.report.wording import (
    NONE,
    amount,
    count,
    decimal,
    harmless,
    interval,
    milliseconds,
    percent,
    probability,
    signed,
)
from retrieval import published

SHOWN = 10
"""Queries that a report shows each way."""
Metrics = Mapping[str, Any]
PerQuery = Mapping[str, Mapping[str, float]]
"""System -> query -> nDCG@10."""


def report(
    metrics: Metrics,
    per_query: PerQuery,
    *,
    queries: Mapping[str, str],
    private: bool,
    encoder: str,
    method: Sequence[Section],
) -> Report:
    """All that is said about a run.

    Args:
        per_query: nDCG@10 of each query; empty where it is not known.
        queries: id -> text; not used for private data sets.
        encoder: the settings' own, which a system's name may leave out.
    """
    return Report(
        title="What each system finds",
        kicker=f"Retrieval evaluation · {metrics['dataset']}",
        verdict=verdict.retrieval(metrics),
        sections=[
            Section("To be known", [Text(note, "warning") for note in metrics.get("notes", ())]),
            Section("Quality by system", _quality(metrics)),
            Section("Pairs of systems", _pairs(metrics)),
            Section("Beside published numbers", _published(metrics, encoder)),
            Section("What quality costs", _cost(metrics)),
            Section("Longer queries", _lengths(metrics)),
            Section("Where the best two differ", _differ(
                metrics, per_query, {} if private else queries)),
            *method,
        ],
        footer=f"Data set {metrics['dataset']}, revision {metrics['revision']}.",
    )  # fmt: skip


def _quality(metrics: Metrics) -> list[Block]:
    systems, names = metrics["systems"], verdict.ranked(metrics)
    drawn = plots.estimates(
        [
            plots.Estimate(
                name, one["ndcg@10"], one.get("ci95"),
                label=decimal(one["ndcg@10"]), strong=name == names[0],
            )
            for name, one in ((name, systems[name]) for name in names)
        ],
        name="quality",
        axis="nDCG@10, with 95\u00a0% interval",
    )  # fmt: skip
    sentence = "; ".join(f"{name} {decimal(systems[name]['ndcg@10'])}" for name in names)
    table = Table(
        "Means over all judged queries",
        ["system", "nDCG@10", "95\u00a0% interval", "recall@100", "MRR@10", "judged@10",
         "empty / errors"],
        [
            [
                name, decimal(one["ndcg@10"]), interval(one.get("ci95"), 3),
                decimal(one["recall@100"]), decimal(one["mrr@10"]), percent(one["judged@10"]),
                f"{count(one['without_hits'])} / {count(one['errors'])}",
            ]
            for name, one in ((name, systems[name]) for name in names)
        ],
    )  # fmt: skip
    note = Text(
        "nDCG by trec_eval's definition (linear gain); a query without hits counts 0. Judged@10 is "
        "the share of the first ten documents that anyone judged: an unjudged one counts as not "
        "relevant, so systems unlike those that the judges saw look worse than they are."
    )
    return [
        Plot(
            drawn,
            "The full dot is the highest; where lines overlap, the pairs below decide",
            f"nDCG@10 by system: {sentence}.",
        ),
        table,
        note,
    ]


def _pairs(metrics: Metrics) -> list[Block]:
    rows = []
    for a, b in combinations(verdict.ranked(metrics), 2):
        found = verdict.comparison(metrics, a, b)
        if found:
            rows.append([
                f"{a} over {b}", signed(found["delta"], 3), interval(found["ci95"], 3),
                probability(found["p_t"]), probability(found["p_randomisation"]),
                ("● " if found["p_holm"] < verdict.ALPHA else "") + probability(found["p_holm"]),
                f"{count(found['wins'])} / {count(found['ties'])} / {count(found['losses'])}",
            ])  # fmt: skip
    if not rows:
        return []
    head = ["pair", "nDCG@10", "95\u00a0% interval", "p, t", "p, random.", "p, Holm",
            "wins / ties / losses"]  # fmt: skip
    return [
        Table("Paired differences over the same queries", head, rows,
              folded=len(rows) > 15),
        Text("The t test and Fisher's randomisation test are paired by query; Holm's correction is "
             "over all pairs here. ● marks pairs that may be called different."),
    ]  # fmt: skip


def _published(metrics: Metrics, encoder: str) -> list[Block]:
    systems, dataset = metrics["systems"], metrics["dataset"]
    rows = []
    for value, one in published.of_dataset(dataset):
        same = [name for name in systems if one.is_of(name, encoder, dataset)]
        best = max(same, key=lambda name: systems[name]["ndcg@10"]) if same else None
        rows.append([
            one.system + (" ▵" if one.differs else ""), decimal(value),
            decimal(systems[best]["ndcg@10"]) if best else NONE, best or "",
            one.source + (f". Differs: {one.differs}" if one.differs else ""),
        ])  # fmt: skip
    rows += [
        [f"{one['system']}, by its recipe", decimal(one["value"]),
         decimal(systems[one["system"]]["ndcg@10"]), one["system"],
         ". ".join(filter(None, [one["source"], one["note"]]))]
        for one in metrics.get("published", ())
    ]  # fmt: skip
    if not rows:
        return []
    rows.sort(key=lambda row: not row[3])
    blocks: list[Block] = [
        Table("nDCG@10 of others on this data set", ["system", "published", "ours", "our system",
              "source"], rows, texts=frozenset({3, 4})),
        Text("▵ The protocol differs, as said beside the source."),
    ]  # fmt: skip
    whole = metrics.get("queries_in_set", metrics["queries"])
    if metrics["queries"] < whole:
        sentence = f"Ours are over {count(metrics['queries'])} of {count(whole)} queries."
        blocks.append(Text(sentence, "warning"))
    return blocks


def _cost(metrics: Metrics) -> list[Block]:
    systems, names = metrics["systems"], verdict.ranked(metrics)
    blocks: list[Block] = []
    for key, title, axis in (
        ("p50_ms", "Quality against latency", "median milliseconds a query, logarithmic"),
        ("flops_per_query", "Quality against computation",
         "floating-point operations a query, logarithmic"),
    ):  # fmt: skip
        points = {
            name: (systems[name][key], systems[name]["ndcg@10"])
            for name in names
            if (systems[name].get(key) or 0) > 0
        }
        if len(points) > 1:
            unit = "ms" if key == "p50_ms" else "operations"
            sentence = "; ".join(
                f"{name} {amount(cost) if unit != 'ms' else milliseconds(cost)} {unit} "
                f"for {decimal(quality)}"
                for name, (cost, quality) in points.items()
            )
            drawn = plots.trade(points, name=key.replace("_", "-"), x_axis=axis, y_axis="nDCG@10")
            without = [name for name in names if name not in points]
            left_out = f"; not drawn, since it has none: {', '.join(without)}" if without else ""
            blocks.append(Plot(drawn, title + left_out, f"{title}: {sentence}."))
    blocks.append(
        Table(
            "Cost of a query",
            ["system", "nDCG@10", "p50 ms", "p95 ms", "FLOPs", "query tokens"],
            [
                [
                    name, decimal(one["ndcg@10"]), milliseconds(one.get("p50_ms")),
                    milliseconds(one.get("p95_ms")), amount(one.get("flops_per_query")),
                    decimal(one.get("query_tokens"), 0),
                ]
                for name, one in ((name, systems[name]) for name in names)
            ],
        )
    )  # fmt: skip
    return blocks


def _lengths(metrics: Metrics) -> list[Block]:
    lengths = {name: curve for name, curve in (metrics.get("lengths") or {}).items() if curve}
    if not lengths:
        return []
    series, rows = [], []
    for name, curve in lengths.items():
        steps = sorted(curve, key=int)
        bounds = [curve[step].get("ci95") or [curve[step]["ndcg@10"]] * 2 for step in steps]
        series.append(
            plots.Series(
                name,
                [int(step) for step in steps],
                [curve[step]["ndcg@10"] for step in steps],
                [low for low, _ in bounds],
                [high for _, high in bounds],
            )
        )
        rows += [
            [name, step, decimal(curve[step]["ndcg@10"]), interval(curve[step].get("ci95"), 3),
             decimal(curve[step].get("query_tokens"), 0)]
            for step in steps
        ]  # fmt: skip
    sentence = "; ".join(
        f"{one.name} from {decimal(one.y[0])} at {one.x[0]:g} to {decimal(one.y[-1])} at "
        f"{one.x[-1]:g} tokens"
        for one in series
    )
    drawn = plots.curves(
        series, name="lengths", x_axis="tokens of the query, at most", y_axis="nDCG@10", log2=True
    )
    return [
        Text(f"Queries cut or written to a number of tokens: {sentence}."),
        Plot(drawn, "nDCG@10 by length of the query", sentence),
        Table("By length", ["system", "at most", "nDCG@10", "95\u00a0% interval", "tokens"], rows,
              folded=len(rows) > 12),
    ]  # fmt: skip


def _differ(metrics: Metrics, per_query: PerQuery, queries: Mapping[str, str]) -> list[Block]:
    names = [name for name in verdict.ranked(metrics) if name in per_query][:2]
    if len(names) < 2:
        return []
    a, b = names
    gaps = {q: per_query[a][q] - per_query[b][q] for q in per_query[a] if q in per_query[b]}
    order = sorted(gaps, key=lambda query: (-gaps[query], query))
    blocks: list[Block] = []
    for better, worse, some in (
        (a, b, [q for q in order if gaps[q] > 0][:SHOWN]),
        (b, a, [q for q in reversed(order) if gaps[q] < 0][:SHOWN]),
    ):
        if some:
            cases = [
                Case(
                    harmless(query, 120),
                    harmless(str(queries.get(query, ""))),
                    outcomes=[(name, decimal(per_query[name][query])) for name in (better, worse)],
                )
                for query in some
            ]
            blocks.append(Cases(f"Better with {better}", cases))
    if blocks:
        blocks.insert(0, Text("Queries with the largest differences in nDCG@10, each way. What a "
                              "system is good at shows here first."))  # fmt: skip
    return blocks
