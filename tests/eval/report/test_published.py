"""The numbers of others that ship, and which of ours they belong to."""

import json

import pytest

from eval.report.published import choice, is_same, retrieval
from eval.systems import parse
from retrieval.encoders.registry import built_in


@pytest.mark.parametrize(
    "dataset", ["beir:scifact", "beir:/data/beir/SciFact/", "beir:mteb/scifact"]
)
def test_a_data_set_is_known_by_its_last_name(dataset):
    assert {one.system for one in retrieval(dataset)} >= {"BM25 (Anserini, flat)", "contriever"}


def test_numbers_of_bright_are_shares_of_one_and_come_best_first():
    found = retrieval("bright:biology")
    assert found[0].value == pytest.approx(0.582)
    assert [one.value for one in found] == sorted((one.value for one in found), reverse=True)
    means = {one.system: one.value for one in retrieval("bright:all")}
    assert means["ReasonIR-8B"] == 0.244
    assert means["ReasonIR-8B + QwenRerank, rewritten queries"] == 0.369


@pytest.mark.parametrize("dataset", ["own:notes", "openstax", "bright:biology-long", "beir:x"])
def test_unknown_data_have_no_numbers(dataset):
    assert retrieval(dataset) == []


def number(dataset, system):
    return next(one for one in retrieval(dataset) if one.system == system)


def test_a_system_is_matched_by_all_that_it_does():
    alone = number("bright:biology", "ReasonIR-8B")
    assert is_same(alone, "dense@reasonir-8b", "minilm")
    assert is_same(alone, "dense", "reasonir-8b")
    assert not is_same(alone, "dense", "minilm")
    assert not is_same(alone, "hybrid@reasonir-8b", "minilm")
    assert not is_same(alone, "dense@reasonir-8b+rewrite", "minilm")


def test_rewritten_queries_of_the_data_set_count_as_rewriting():
    rewritten = number("bright:biology@gpt4_reason", "ReasonIR-8B, rewritten queries")
    data = "bright:biology@gpt4_reason"
    assert is_same(rewritten, "dense@reasonir-8b", "minilm", data)
    assert is_same(rewritten, "dense", "reasonir-8b", data)
    alone = number("bright:biology", "ReasonIR-8B")
    assert not is_same(alone, "dense@reasonir-8b", "minilm", data)


def test_every_pipeline_that_is_named_can_be_run():
    data = ["bright:all", "bright:biology", "beir:scifact"]
    pipelines = {name for one in data for number in retrieval(one) for name in number.pipelines}
    assert len(pipelines) > 10
    encoders = set(built_in())
    for name in pipelines:
        encoder = parse(name).options.encoder
        assert encoder is None or encoder in encoders


def test_gains_are_those_of_the_abstracts_and_say_how_they_differ():
    for dataset, relative in (("mmlu", 6.4), ("gpqa_diamond", 22.6)):
        paper = next(one for one in choice(dataset) if one.system.startswith("ReasonIR"))
        assert paper.value == relative
        assert any("Contriever" in sentence for sentence in paper.differs)
        assert any("random one" in sentence for sentence in paper.differs)
    assert choice("openstax") == []


def test_numbers_are_those_of_the_shared_table(shared_data):
    table = json.loads((shared_data / "published_numbers.json").read_text("utf-8"))
    flat = table["pyserini-2cr-beir"]["bm25-flat"]
    minilm = table["mteb-results:sentence-transformers__all-MiniLM-L6-v2"]["SciFact"]
    for name in ("scifact", "nfcorpus", "arguana", "fiqa", "scidocs"):
        assert number(f"beir:{name}", "BM25 (Anserini, flat)").value == flat[name]["nDCG@10"]
    assert number("beir:scifact", "all-MiniLM-L6-v2").value == pytest.approx(
        minilm["8b3219a9|test|default"], abs=5e-5
    )
