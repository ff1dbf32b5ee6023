"""What a retrieval run is asked to do."""

import pytest

from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.retrieval.plan import RetrievalPlan, collection_of, limited, with_task
from rag_app.assembly.encoders import choose
from rag_app.settings import load_settings
from rag_app.systems.grammar import parse, product

QUERIES = {str(number): f"query {number}" for number in range(50)}
SET = RetrievalDataset("s", None, QUERIES, {q: {"d": 1} for q in QUERIES}, "r")


def test_a_plan_survives_being_written_down() -> None:
    systems = tuple(product(["bm25", "dense"], ["minilm"], ["none", "llm"]))
    plan = RetrievalPlan("beir:x", systems, lengths=(64, 128), limit=3, notes=("n",))
    assert RetrievalPlan.of(plan.as_dict()) == plan
    assert plan.encoders == ["minilm"]
    foreign = RetrievalPlan("beir:x", (), runs={"a": "a.trec"})
    assert RetrievalPlan.of(foreign.as_dict()) == foreign


def test_a_damaged_plan_is_refused() -> None:
    good = RetrievalPlan("beir:x", (parse("bm25"),)).as_dict()
    for damage in ({"systems": 3}, {"unknown": 1}, {"options": {"bm25": {"retriever": "x"}}}):
        with pytest.raises(EvalError, match="damaged"):
            RetrievalPlan.of({**good, **damage})


def test_a_plan_of_an_earlier_version_is_understood() -> None:
    plan = RetrievalPlan("beir:x", (parse("bm25"),), needs_settings=True)
    kept = plan.as_dict()
    kept["own_settings"] = kept.pop("needs_settings")
    assert RetrievalPlan.of(kept) == plan


def test_every_length_is_a_further_run_of_every_system() -> None:
    plan = RetrievalPlan("s", (parse("bm25"), parse("dense")), lengths=(64,))
    assert plan.names == ["bm25", "bm25/len=64", "dense", "dense/len=64"]


@pytest.mark.parametrize(
    ("dataset", "collection"),
    [
        ("beir:scifact", "eval-scifact"),
        ("beir:/data/beir/scifact/", "eval-scifact"),
        ("beir:mteb/scifact", "eval-scifact"),
        ("bright:biology", "eval-bright-biology"),
        ("bright:biology@gpt4_reason", "eval-bright-biology"),
        ("bright:biology-long", "eval-bright-biology-long"),
        ("openstax", "eval-openstax"),
        ("beir:My set (dev)", "eval-My-set-dev"),
    ],
)
def test_a_data_set_has_a_collection_of_its_own(dataset, collection) -> None:
    assert collection_of(dataset) == collection


def test_names_of_collections_are_never_too_long() -> None:
    long, other = (collection_of("beir:" + "a" * 90 + end) for end in "bc")
    assert len(long) == 64
    assert long != other


def test_a_limit_keeps_queries_with_their_judgements() -> None:
    ten, twenty = limited(SET, 10), limited(SET, 20)
    assert len(ten.queries) == 10
    assert ten.queries.keys() == ten.qrels.keys()
    assert ten.queries.keys() < twenty.queries.keys()
    assert list(ten.queries) == [query for query in QUERIES if query in ten.queries]
    assert limited(SET, None) is SET
    assert limited(SET, 50) is SET


def test_encoders_that_know_the_task_use_its_instruction() -> None:
    settings = load_settings(overrides={"encoder": {"accept_license": True}})
    systems = [parse("dense@reasonir-8b"), parse("hybrid"), parse("bm25")]
    told = with_task(settings, "biology", systems)
    assert "biology" in str(choose(told, "reasonir-8b").instruction)
    assert choose(told, "minilm").instruction is None
    assert with_task(settings, "", systems) is settings
    assert not with_task(settings, "biology", [parse("bm25@reasonir-8b")]).encoders


def test_rerankers_are_told_what_relevant_means_in_the_task() -> None:
    assert with_task(load_settings(), "leetcode", []).rerank.definition == "leetcode"
    own = load_settings(overrides={"rerank": {"definition": "It helps."}})
    assert with_task(own, "leetcode", []).rerank.definition == "It helps."


def test_an_instruction_that_was_given_stays() -> None:
    own = {"encoders": {"reasonir-8b": {"instruction": "Find it"}}}
    settings = load_settings(overrides=own)
    told = with_task(settings, "biology", [parse("dense@reasonir-8b")])
    assert told.encoders == settings.encoders
