"""The numbers of others that ship, and which of ours they belong to."""

import json
import math

import pytest
from pydantic import ValidationError

from rag_app.settings import recipes as names
from rag_app.systems.grammar import parse
from retrieval.encoders.registry import built_in
from retrieval.published import (
    TASKS,
    PublishedRetrieval,
    gains,
    of_dataset,
    of_encoder,
    of_recipe,
    table,
)


@pytest.mark.parametrize(
    "dataset", ["beir:scifact", "beir:/data/beir/SciFact/", "beir:mteb/scifact"]
)
def test_a_data_set_is_known_by_its_last_name(dataset):
    assert {one.system for _, one in of_dataset(dataset)} >= {"BM25 (Anserini, flat)", "contriever"}


def test_numbers_of_bright_are_shares_of_one_and_come_best_first():
    found = [value for value, _ in of_dataset("bright:biology")]
    assert found[0] == pytest.approx(0.582)
    assert found == sorted(found, reverse=True)
    means = {one.system: value for value, one in of_dataset("bright")}
    assert means["ReasonIR-8B"] == 0.244
    assert means["ReasonIR-8B + QwenRerank, rewritten queries"] == 0.369


@pytest.mark.parametrize("dataset", ["own:notes", "openstax", "bright:biology-long", "beir:x"])
def test_unknown_data_have_no_numbers(dataset):
    assert of_dataset(dataset) == []


def number(dataset, system):
    return next(one for _, one in of_dataset(dataset) if one.system == system)


def test_a_system_is_matched_by_all_that_it_does():
    alone = number("bright:biology", "ReasonIR-8B")
    assert alone.is_of("dense@reasonir-8b", "minilm")
    assert alone.is_of("dense", "reasonir-8b")
    assert not alone.is_of("dense", "minilm")
    assert not alone.is_of("hybrid@reasonir-8b", "minilm")
    assert not alone.is_of("dense@reasonir-8b+rewrite", "minilm")


def test_rewritten_queries_of_the_data_set_count_as_rewriting():
    rewritten = number("bright:biology@gpt4_reason", "ReasonIR-8B, rewritten queries")
    data = "bright:biology@gpt4_reason"
    assert rewritten.is_of("dense@reasonir-8b", "minilm", data)
    assert rewritten.is_of("dense", "reasonir-8b", data)
    alone = number("bright:biology", "ReasonIR-8B")
    assert not alone.is_of("dense@reasonir-8b", "minilm", data)


def test_every_pipeline_that_is_named_can_be_run():
    data = ["bright", "bright:biology", "beir:scifact"]
    pipelines = {name for one in data for _, number in of_dataset(one) for name in number.pipelines}
    assert len(pipelines) > 10
    encoders = set(built_in())
    for name in pipelines:
        encoder = parse(name).options.encoder
        assert encoder is None or encoder in encoders


def test_gains_are_those_of_the_abstracts_and_say_how_they_differ():
    for dataset, relative in (("mmlu", 6.4), ("gpqa_diamond", 22.6)):
        value, paper = next(one for one in gains(dataset) if one[1].system.startswith("ReasonIR"))
        assert value == relative
        assert any("Contriever" in sentence for sentence in paper.differs)
        assert any("random one" in sentence for sentence in paper.differs)
    assert gains("openstax") == []


def test_numbers_are_those_of_the_shared_table(shared_data):
    table = json.loads((shared_data / "published_numbers.json").read_text("utf-8"))
    flat = table["pyserini-2cr-beir"]["bm25-flat"]
    minilm = table["mteb-results:sentence-transformers__all-MiniLM-L6-v2"]["SciFact"]
    for name in ("scifact", "nfcorpus", "arguana", "fiqa", "scidocs"):
        assert number(f"beir:{name}", "BM25 (Anserini, flat)").beir[name] == flat[name]["nDCG@10"]
    assert number("beir:scifact", "all-MiniLM-L6-v2").beir["scifact"] == pytest.approx(
        minilm["8b3219a9|test|default"], abs=5e-5
    )


def test_means_are_those_of_their_tasks():
    for one in table().retrieval:
        if one.tasks and one.bright:
            assert math.fsum(one.tasks) / len(TASKS) == pytest.approx(one.bright, abs=0.0011)


def test_encoders_and_recipes_draw_from_the_same_rows():
    assert of_encoder("reasonir-8b") == (24.4, "https://github.com/AQ-MedAI/Diver, README")
    assert built_in()["reasonir-8b"].bright == 100 * of_recipe("reasonir")[0].bright
    assert of_encoder("minilm") is None
    assert {one.recipe for one in table().retrieval} - {""} == set(names())


def test_a_list_of_tasks_that_is_not_whole_is_refused():
    with pytest.raises(ValidationError, match="tasks has 1"):
        PublishedRetrieval(system="s", source="https://x", bright=0.5, tasks=(0.5,))
    with pytest.raises(ValidationError, match="bright"):
        PublishedRetrieval(system="s", source="https://x", bright=50)
    with pytest.raises(ValidationError, match="source"):
        PublishedRetrieval(system="s", source="")
