from eval.retrieval.plan import RetrievalPlan
from eval.retrieval.scoring import expected
from rag_app.systems.grammar import parse


def plan(dataset: str, queries: str = "original") -> RetrievalPlan:
    return RetrievalPlan(dataset, (parse("dense"),), queries=queries)


def test_a_recipe_is_held_to_what_was_published_for_its_own_queries() -> None:
    (number,) = expected("reasonir", plan("bright:biology"))
    assert (number["system"], number["value"]) == ("dense", 0.262)
    assert number["source"]
    assert expected("reasonir", plan("bright:biology", "gpt4_reason")) == []
    assert expected("reasonir-rewritten", plan("bright:biology", "gpt4_reason")) != []


def test_nothing_is_expected_without_a_recipe_or_of_other_data() -> None:
    assert expected("", plan("bright:biology")) == []
    assert expected("reasonir", plan("beir:scifact")) == []
