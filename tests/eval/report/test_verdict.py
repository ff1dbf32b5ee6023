"""The verdict claims what the numbers bear, and says why where they do not."""

import copy

import pytest

from eval.report import verdict
from tests.eval.report.runs import choice_run, metrics, retrieval_run


def judged(path, **more):
    return verdict.choice(metrics(choice_run(path, **more)))


def test_a_gain_is_claimed_with_its_interval_its_test_and_what_could_have_been_seen(tmp_path):
    found = judged(tmp_path, gain=0.4)
    assert found.sentence.startswith("Retrieval gains ")
    assert "McNemar p\u00a0<\u00a00.001" in found.evidence
    assert "smallest effect this run could have seen" in found.evidence
    assert any("With retrieved passages more than with random ones" in r for r in found.reasons)
    assert any("change by themselves" in reason for reason in found.reasons)


def test_no_gain_is_claimed_where_chance_explains_it(tmp_path):
    found = judged(tmp_path, gain=0.01)
    assert found.sentence.startswith("No gain can be claimed: ")
    assert any("smaller than what a run of this size finds" in reason for reason in found.reasons)


def test_no_gain_is_claimed_where_random_passages_gain_as_much(tmp_path):
    found = judged(tmp_path, gain=0.4, random_gain=0.4)
    assert found.sentence.startswith("No gain from what the passages say can be claimed")


def test_a_loss_is_a_loss(tmp_path):
    assert judged(tmp_path, gain=-0.4).sentence.startswith("Retrieval loses ")


def test_an_interval_that_holds_zero_claims_nothing_whatever_p_is(tmp_path):
    found = metrics(choice_run(tmp_path, gain=0.4))
    found["delta"]["rag-closed_book"]["ci95"] = [-0.1, 20.0]
    assert verdict.choice(found).sentence.startswith("No gain can be claimed")


def test_without_random_passages_the_verdict_says_what_is_not_told_apart(tmp_path):
    found = judged(tmp_path, arms=("closed_book", "rag"))
    assert any("Random passages were not tried" in reason for reason in found.reasons)


def test_many_unparsed_answers_are_named(tmp_path):
    found = judged(tmp_path, unanswered=0.1)
    assert any("name no choice and count as wrong" in reason for reason in found.reasons)


def test_the_main_comparison_is_of_the_settings_own_pipeline(tmp_path):
    arms = ("closed_book", "closed_book#2", "random", "rag:bm25-like", "rag")
    found = metrics(choice_run(tmp_path, arms=arms))
    assert verdict.main_pair(found) == ("rag-closed_book", "rag", "closed_book")
    del found["delta"]["rag-closed_book"]
    assert verdict.main_pair(found)[1] == "rag:bm25-like"


def test_arms_with_hyphens_are_told_apart(tmp_path):
    arms = ("closed_book", "random", "rag:dense@reasonir-8b")
    found = metrics(choice_run(tmp_path, arms=arms))
    assert ("rag:dense@reasonir-8b-random", "rag:dense@reasonir-8b", "random") in verdict.pairs(
        found
    )


@pytest.fixture
def two_systems(tmp_path):
    queries = [f"query {number}" for number in range(40)]
    run = retrieval_run(tmp_path, {"bm25": (5, 0, 8), "hybrid": (1, 2)}, queries=queries)
    return metrics(run)


def test_the_best_system_is_named_where_it_is_surely_ahead(two_systems):
    found = verdict.retrieval(two_systems)
    assert found.sentence.startswith("hybrid finds best, with nDCG@10 ")
    assert "+0." in found.evidence


def test_a_comparison_reads_the_same_from_either_side(two_systems):
    one = verdict.comparison(two_systems, "hybrid", "bm25")
    other = verdict.comparison(two_systems, "bm25", "hybrid")
    assert one["delta"] == -other["delta"]
    assert one["ci95"] == [-end for end in reversed(other["ci95"])]
    assert (one["wins"], one["losses"]) == (other["losses"], other["wins"])


def test_systems_within_chance_are_not_ranked(two_systems):
    level = copy.deepcopy(two_systems)
    level["comparisons"][0]["p_holm"] = 0.2
    found = verdict.retrieval(level)
    assert found.sentence == (
        "No best system can be claimed: hybrid and bm25 are within chance of each other"
    )


def test_unlike_shares_of_judged_documents_and_failures_are_named(two_systems):
    two_systems["systems"]["bm25"].update({"judged@10": 0.9, "without_hits": 3, "errors": 1})
    two_systems["systems"]["hybrid"]["judged@10"] = 0.3
    reasons = verdict.retrieval(two_systems).reasons
    assert any("the difference may be the judges'" in reason for reason in reasons)
    assert any("found nothing for 3 queries and failed for 1" in reason for reason in reasons)
