"""metrics.json of an answer evaluation says what the samples say, whatever their order."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eval.choice.sample import ChoiceSample, Shown, State
from eval.choice.summary import summarise, timings
from eval.statistics.intervals import wilson


def sample(
    arm: str, name: str, right: bool = True, state: State = "ok", **more: Any
) -> ChoiceSample:
    """Choice 2 is right; whoever is wrong chooses 0."""
    chosen = None if state != "ok" else 2 if right else 0
    given: dict[str, Any] = {"repeat": 0, "subject": "biology", "order": (3, 2, 1, 0)}
    return ChoiceSample(arm=arm, id=name, answer=2, chosen=chosen, state=state, **given | more)


def passages(*scores: float) -> tuple[Shown, ...]:
    return tuple(Shown(f"c{score}", "book", score, "a long text") for score in scores)


def metrics(samples: list[ChoiceSample], **more: Any) -> dict[str, Any]:
    given = {"dataset": "mmlu", "revision": "r1", "seed": 7, "bootstrap": 500}
    return summarise(samples, **given | more)


def run(questions: int, *, repeats: int = 1) -> Iterator[ChoiceSample]:
    rng = np.random.default_rng(0)
    for arm, share in (("closed_book", 0.5), ("rag", 0.6), ("rag:bm25", 0.55), ("random", 0.5)):
        for number in range(questions):
            for repeat in range(repeats):
                shown = () if arm == "closed_book" else passages(rng.random(), rng.random())
                yield sample(
                    arm, f"q{number}", bool(rng.random() < share), repeat=repeat,
                    subject=f"subject {number % 4}", passages=shown,
                    overlap=arm == "rag" and number % 5 == 0, flops=rng.random() * 1e12,
                )  # fmt: skip


def test_arms_count_what_came_of_each_question() -> None:
    samples = [
        sample("rag", "a", prompt_tokens=10, completion_tokens=2, flops=3.0, passages_used=2),
        sample("rag", "b", right=False, prompt_tokens=30, completion_tokens=5, passages_used=1),
        sample("rag", "c", state="unparsed"),
        sample("rag", "d", state="truncated"),
        sample("rag", "e", state="error", prompt_tokens=99),
    ]
    assert metrics(samples)["arms"]["rag"] == {
        "accuracy": 0.25,
        "ci95": [pytest.approx(end, abs=1e-6) for end in wilson(1, 4).pair()],
        "n": 4,
        "correct": 1,
        "unparsed": 1,
        "truncated": 1,
        "errors": 1,
        "accuracy_parsed": 0.5,
        "passages_used_mean": 0.75,
        "prompt_tokens": 40,
        "completion_tokens": 7,
        "flops": 3.0,
    }


def test_an_error_leaves_the_question_out_of_that_arm_and_of_its_pairs_only() -> None:
    samples = [
        *(sample("closed_book", name, right=False) for name in "abc"),
        *(sample("random", name) for name in "abc"),
        sample("rag", "a"), sample("rag", "b"), sample("rag", "c", state="error"),
    ]  # fmt: skip
    found = metrics(samples)
    assert (found["arms"]["rag"]["n"], found["arms"]["rag"]["errors"]) == (2, 1)
    assert found["arms"]["closed_book"]["n"] == 3
    assert found["delta"]["rag-closed_book"]["n"] == 2
    assert found["delta"]["random-closed_book"]["n"] == 3
    assert found["n"] == 3


def test_an_arm_of_errors_alone_is_told_and_compared_with_nothing() -> None:
    found = metrics([sample("closed_book", "a"), sample("rag", "a", state="error")])
    assert found["arms"]["rag"]["errors"] == 1
    assert (found["arms"]["rag"]["n"], found["arms"]["rag"]["ci95"]) == (0, [0.0, 1.0])
    assert found["delta"] == {}


def test_every_arm_is_compared_with_the_closed_book_and_retrieval_with_random_passages() -> None:
    assert set(metrics(list(run(10)))["delta"]) == {
        "rag-closed_book",
        "rag:bm25-closed_book",
        "random-closed_book",
        "rag-random",
        "rag:bm25-random",
    }


def test_a_replicate_is_the_noise_floor_and_no_comparison() -> None:
    samples = [
        sample("closed_book", "a"), sample("closed_book#2", "a"),
        sample("closed_book", "b", right=False), sample("closed_book#2", "b"),
        sample("closed_book", "c", state="unparsed"), sample("closed_book#2", "c", right=False),
        sample("closed_book", "d", state="error"), sample("closed_book#2", "d"),
    ]  # fmt: skip
    found = metrics(samples)
    assert found["noise_floor"] == {
        "arm": "closed_book",
        "n": 3,
        "disagreement": 0.666667,
        "discordance": 0.333333,
    }
    assert found["delta"] == {}
    assert metrics(samples[::2])["noise_floor"] is None


def test_repeats_count_a_question_once() -> None:
    samples = [
        *(sample("rag", "a", repeat=repeat) for repeat in range(2)),
        *(sample("rag", "b", right=repeat == 0, repeat=repeat) for repeat in range(2)),
    ]
    found = metrics(samples)
    arm = found["arms"]["rag"]
    assert (found["repeats"], found["n"], arm["n"], arm["accuracy"]) == (2, 2, 4, 0.75)
    assert arm["ci95"] == [0.5, 1.0]


def test_subjects_are_told_apart() -> None:
    found = metrics(list(run(40)))
    assert found["subjects_chosen"] == [f"subject {number}" for number in range(4)]
    one = found["subjects"]["subject 1"]
    assert one["n"] == 10
    assert set(one["accuracy"]) == {"closed_book", "rag", "rag:bm25", "random"}
    delta = one["delta"]["rag-closed_book"]
    gain = one["accuracy"]["rag"] - one["accuracy"]["closed_book"]
    assert delta["points"] == pytest.approx(100 * gain)
    assert delta["holm_p"] >= delta["mcnemar_p"]


def test_a_set_without_subjects_is_not_broken_down() -> None:
    assert metrics([sample("rag", "a", subject="")])["subjects"] == {}


def test_contamination_cuts_the_questions_in_two() -> None:
    found = metrics(list(run(40)))["contamination"]
    assert (found["overlapping"]["n"], found["overlap_free"]["n"]) == (8, 32)
    delta = found["overlap_free"]["delta"]["rag-closed_book"]
    accuracy = found["overlap_free"]["accuracy"]
    assert delta["n"] == 32
    gain = accuracy["rag"] - accuracy["closed_book"]
    assert delta["points"] == pytest.approx(100 * gain)


def test_contamination_is_not_told_of_where_nothing_was_offered() -> None:
    assert metrics([sample("closed_book", "a")])["contamination"] is None


def test_positions_are_those_that_were_shown() -> None:
    samples = [
        sample("rag", "a"),
        sample("rag", "b", order=(2, 0, 1, 3)),
        sample("rag", "c", order=(2, 0, 1, 3)),
        sample("rag", "d", right=False),
        sample("rag", "e", state="unparsed"),
    ]
    assert metrics(samples)["positions"] == {"rag": {"A": 0.5, "B": 0.25, "C": 0.0, "D": 0.25}}


def test_deciles_follow_the_best_passage() -> None:
    samples = [
        sample("rag", f"q{number:02}", number >= 20, passages=passages(-5.0, number / 10))
        for number in range(40)
    ]
    samples += [sample("closed_book", f"q{number:02}", number % 2 == 0) for number in range(40)]
    deciles = metrics(samples)["deciles"]["rag"]
    assert {tenth["closed_book"] for tenth in deciles} == {0.5}
    assert [tenth["n"] for tenth in deciles] == [4] * 10
    assert [tenth["accuracy"] for tenth in deciles] == [0.0] * 5 + [1.0] * 5
    assert (deciles[0]["low"], deciles[0]["high"], deciles[9]["high"]) == (0.0, 0.3, 3.9)


def test_deciles_need_enough_questions_and_different_scores() -> None:
    same = [sample("rag", f"q{number}", passages=passages(1.0)) for number in range(40)]
    few = [sample("rag", f"q{number}", passages=passages(number)) for number in range(19)]
    assert metrics(same)["deciles"] == metrics(few)["deciles"] == {}


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_order_of_samples_does_not_matter_to_the_byte(repeats: int) -> None:
    samples = list(run(60, repeats=repeats))
    text = json.dumps(metrics(samples))
    order = np.random.default_rng(1).permutation(len(samples))
    samples = [samples[place] for place in order]
    assert json.dumps(metrics(samples)) == text
    assert json.dumps(metrics([replace(one, milliseconds=9.0) for one in samples])) == text


def test_no_text_of_the_data_set_or_the_model_gets_into_the_metrics() -> None:
    secret = "never to be published"
    shown = (Shown("c", secret, 1.0, secret),)
    one = sample("rag", "a", text=secret, detail=secret, passages=shown)
    assert secret not in json.dumps(metrics([one]))


def test_nothing_answered_is_summed_up_too() -> None:
    found = metrics([])
    assert (found["n"], found["arms"], found["delta"]) == (0, {}, {})


def test_timings_are_by_arm_without_errors() -> None:
    samples = [sample("rag", f"q{ms}", milliseconds=float(ms)) for ms in range(101)]
    samples.append(sample("rag", "slow", state="error", milliseconds=1e6))
    assert timings(samples) == {"rag": {"n": 101, "mean_ms": 50.0, "p50_ms": 50.0, "p95_ms": 95.0}}


def test_the_whole_of_mmlu_is_summed_up_in_seconds() -> None:
    samples = [
        sample(arm, f"q{number}", number % 3 > 0, subject=f"s{number % 57}")
        for arm in ("closed_book", "rag", "random")
        for number in range(14_042)
    ]
    began = time.process_time()
    metrics(samples, bootstrap=10_000)
    assert time.process_time() - began < 8
