"""What a run says, in one sentence, with the reasons that support or limit it."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.report.document import Verdict
from eval.report.wording import (
    count,
    decimal,
    interval,
    is_probability,
    percent,
    signed,
    signed_percent,
)

ALPHA = 0.05
Metrics = Mapping[str, Any]


def pairs(metrics: Metrics) -> list[tuple[str, str, str]]:
    """Each key of ``delta`` with its two arms, the one that is meant to gain first.

    Retrieving arms come first, what was asked twice last.
    """
    arms = metrics["arms"]
    found = []
    for key in metrics.get("delta") or {}:
        for arm in arms:
            if key.startswith(f"{arm}-") and key[len(arm) + 1 :] in arms:
                found.append((key, arm, key[len(arm) + 1 :]))
                break
    return sorted(
        found, key=lambda pair: ("#" in pair[1], not pair[1].startswith("rag"), *pair[1:])
    )


def main_pair(metrics: Metrics) -> tuple[str, str, str] | None:
    """The comparison that a run was made for: its first retrieving arm with the closed book."""
    found = [pair for pair in pairs(metrics) if pair[2] == "closed_book" and "#" not in pair[1]]
    return found[0] if found else None


def choice(metrics: Metrics) -> Verdict:
    """Whether retrieval gains over a closed book.

    A gain or loss is claimed only where McNemar's p is below 0.05 and the interval leaves out
    zero; a gain, only where random passages of the same length do not gain as much.
    """
    pair = main_pair(metrics)
    if pair is None:
        return _alone(metrics)
    delta = metrics["delta"][pair[0]]
    random = (metrics["delta"]).get(f"{pair[1]}-random")
    low, high = delta["ci95"]
    sure = delta["mcnemar_p"] < ALPHA
    size = decimal(abs(delta["points"]), 1)
    if sure and low > 0 and not (random and not _gains(random)):
        sentence = f"Retrieval gains {size} points over closed-book"
    elif sure and low > 0:
        sentence = (
            "No gain from what the passages say can be claimed: retrieval answers "
            f"{size} points more than closed-book, but not reliably more than random passages"
        )
    elif sure and high < 0:
        sentence = f"Retrieval loses {size} points against closed-book"
    else:
        sentence = f"No gain can be claimed: {signed(delta['points'])} points over closed-book"
    reasons = _reasons(metrics, pair, delta, random)
    return Verdict(sentence, _evidence(delta), reasons, _figures(metrics, delta))


def _gains(delta: Metrics) -> bool:
    return bool(delta["mcnemar_p"] < ALPHA and delta["ci95"][0] > 0)


def _evidence(delta: Metrics) -> str:
    return (
        f"95\u00a0% interval {interval(delta['ci95'])}; "
        f"McNemar {is_probability(delta['mcnemar_p'])}; "
        f"smallest effect this run could have seen: {decimal(delta.get('mde'), 1)} points"
    )


def _reasons(
    metrics: Metrics, pair: tuple[str, str, str], delta: Metrics, random: Metrics | None
) -> list[str]:
    reasons = []
    if abs(delta["points"]) < (delta.get("mde") or 0):
        reasons.append(
            "The difference is smaller than what a run of this size finds four times in five; more "
            "questions would tell."
        )
    if random:
        margin = "more than" if _gains(random) else "not reliably more than"
        reasons.append(
            f"With retrieved passages {margin} with random ones of the same length: "
            f"{signed(random['points'])} points ({interval(random['ci95'])}; "
            f"{is_probability(random['mcnemar_p'])})."
        )
    elif "random" not in metrics["arms"]:
        reasons.append(
            "Random passages were not tried, so what passages do to the prompt is not told apart "
            "from what they say."
        )
    noise = metrics.get("noise_floor")
    if noise and noise["n"]:
        changed = (delta["gained"] + delta["lost"]) / max(1, metrics["arms"][pair[2]]["n"])
        reasons.append(
            f"Asked the same again without passages, {percent(noise['disagreement'])} of answers "
            f"change by themselves; with passages {percent(changed)} become right or wrong."
        )
    reasons += _shortcomings(metrics)
    return reasons


def _shortcomings(metrics: Metrics) -> list[str]:
    reasons = []
    for name, arm in metrics["arms"].items():
        asked = arm["n"] + arm["errors"] or 1
        if arm["errors"]:
            reasons.append(
                f"{count(arm['errors'])} questions of {name} have no answer, since asking failed."
            )
        without = (arm["unparsed"] + arm["truncated"]) / asked
        if without > 0.05:
            reasons.append(
                f"{percent(without)} of the answers of {name} name no choice and count as wrong; "
                f"without them it is right in {percent(arm['accuracy_parsed'])}."
            )
    return reasons


def _figures(metrics: Metrics, delta: Metrics) -> list[tuple[str, str]]:
    return [
        ("points gained", signed(delta["points"])),
        ("relative gain", signed_percent(delta["relative_percent"])),
        ("wrong to right", count(delta["gained"])),
        ("right to wrong", count(delta["lost"])),
        ("questions", count(metrics["n"])),
    ]


def _alone(metrics: Metrics) -> Verdict:
    shares = "; ".join(
        f"{name} {percent(arm['accuracy'])} ({interval(arm['ci95'], scale=100)})"
        for name, arm in metrics["arms"].items()
    )
    return Verdict(
        f"Answers that are right: {shares}",
        "",
        (
            "Whether retrieval gains cannot be said: that takes a closed-book and a retrieving arm "
            "over the same questions.",
            *_shortcomings(metrics),
        ),
        [("questions", count(metrics["n"]))],
    )


def ranked(metrics: Metrics) -> list[str]:
    """Names of the systems, by falling nDCG@10."""
    systems = metrics["systems"]
    return sorted(systems, key=lambda name: (-systems[name]["ndcg@10"], name))


def comparison(metrics: Metrics, a: str, b: str) -> dict[str, Any] | None:
    """The comparison of two systems by nDCG@10, its sign as ``a - b``; None where there is none."""
    for found in metrics.get("comparisons") or ():
        if found["metric"] != "ndcg@10":
            continue
        if (found["a"], found["b"]) == (a, b):
            return dict(found)
        if (found["a"], found["b"]) == (b, a):
            low, high = found["ci95"]
            return {
                **found, "a": a, "b": b, "delta": -found["delta"], "ci95": [-high, -low],
                "wins": found["losses"], "losses": found["wins"],
            }  # fmt: skip
    return None


def retrieval(metrics: Metrics) -> Verdict:
    """Which system finds best, and whether that is more than chance."""
    names = ranked(metrics)
    systems = metrics["systems"]
    best = systems[names[0]]
    figures = [
        ("nDCG@10", decimal(best["ndcg@10"])),
        ("recall@100", decimal(best["recall@100"])),
        ("MRR@10", decimal(best["mrr@10"])),
        ("judged@10", percent(best["judged@10"])),
        ("queries", count(metrics["queries"])),
    ]
    reaches = f"{names[0]} reaches nDCG@10 {decimal(best['ndcg@10'])}"
    spread = f"95\u00a0% interval {interval(best.get('ci95'), 3)}"
    reasons = _gaps(metrics)
    if len(names) == 1:
        return Verdict(reaches, spread, reasons, figures)
    found = comparison(metrics, names[0], names[1])
    if found is None:
        second = f"{names[1]} {decimal(systems[names[1]]['ndcg@10'])}"
        return Verdict(f"{reaches}, {second}", "no paired test of the two", reasons, figures)
    evidence = (
        f"{signed(found['delta'], 3)} over {names[1]}, 95\u00a0% interval "
        f"{interval(found['ci95'], 3)}; randomisation test {is_probability(found['p_holm'])} "
        "after Holm"
    )
    if found["p_holm"] < ALPHA:
        return Verdict(f"{names[0]} finds best, with nDCG@10 {decimal(best['ndcg@10'])}",
                       evidence, reasons, figures)  # fmt: skip
    level = _level(metrics, names)
    among = _listed(names[:level]) if level <= 3 else f"{names[0]} and the {level - 1} next"
    sentence = f"No best system can be claimed: {among} are within chance of each other"
    return Verdict(sentence, evidence, [f"{reaches} ({spread}).", *reasons], figures)


def _level(metrics: Metrics, names: Sequence[str]) -> int:
    """How many of the best systems no test tells from the first, itself included."""
    for number, name in enumerate(names[1:], start=1):
        pair = comparison(metrics, names[0], name)
        if pair is None or pair["p_holm"] < ALPHA:
            return number
    return len(names)


def _gaps(metrics: Metrics) -> list[str]:
    reasons = []
    systems = metrics["systems"]
    judged = {name: system["judged@10"] for name, system in systems.items()}
    if judged and max(judged.values()) - min(judged.values()) > 0.1:
        most, least = max(judged, key=judged.__getitem__), min(judged, key=judged.__getitem__)
        reasons.append(
            f"Of the first ten documents, judges saw {percent(judged[most])} of those that {most} "
            f"finds and {percent(judged[least])} of those that {least} finds; documents nobody saw "
            "count as not relevant, so part of the difference may be the judges'."
        )
    for name, system in systems.items():
        if system["without_hits"] or system["errors"]:
            reasons.append(
                f"{name} found nothing for {count(system['without_hits'])} queries and failed for "
                f"{count(system['errors'])}; each counts 0."
            )
    return reasons


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
