"""Every name leads to its data set, and an unknown one to what there is."""

import pytest

from eval.datasets.catalogue import CHOICE, RETRIEVAL, choice, retrieval
from eval.errors import DatasetError


@pytest.mark.parametrize(
    ("name", "queries"),
    [
        ("beir:scifact", 300),
        ("bright:biology", 103),
        ("bright:biology-long", 103),
        ("openstax", 2805),
    ],
)
def test_retrieval_sets_by_name(shared_data, tmp_path, name, queries):
    data = retrieval(name, shared_data, tmp_path)
    assert data.name == name
    assert len(data.queries) == len(data.qrels) == queries


def test_a_split_may_be_asked_for(shared_data, tmp_path):
    assert len(retrieval("beir:scifact", shared_data, tmp_path, split="train").queries) == 809


@pytest.mark.parametrize(
    ("name", "questions"),
    [("mmlu", 14_042), ("openstax", 2805), ("jsonl:openstax/mcq.jsonl", 2805)],
)
def test_choice_sets_by_name(shared_data, tmp_path, name, questions):
    data = choice(name, shared_data, tmp_path)
    assert data.name == name
    assert len(data.questions) == questions
    assert data.corpus == shared_data / "openstax" / "passages.jsonl"


def test_subjects_are_chosen_however_they_are_written_and_keep_the_revision(shared_data, tmp_path):
    whole = choice("mmlu", shared_data, tmp_path)
    some = choice(
        "mmlu", shared_data, tmp_path, subjects=["College Biology", "high-school-physics"]
    )
    assert {q.subject for q in some.questions} == {"college_biology", "high_school_physics"}
    assert len(some.questions) == 144 + 151
    assert some.revision == whole.revision
    assert some.corpus == whole.corpus


def test_an_unknown_subject_is_told_those_there_are(shared_data, tmp_path):
    with pytest.raises(
        DatasetError, match=r"mmlu has no subject 'alchemy'. It has abstract_algebra"
    ):
        choice("mmlu", shared_data, tmp_path, subjects=["virology", "alchemy"])


@pytest.mark.parametrize("name", ["nothing", "beir", "beir:", "bright:", "jsonl:", "gpqa", ""])
@pytest.mark.parametrize(("load", "known"), [(retrieval, RETRIEVAL), (choice, CHOICE)])
def test_an_unknown_name_is_told_all_that_there_are(tmp_path, load, known, name):
    with pytest.raises(DatasetError) as refused:
        load(name, None, tmp_path)
    assert all(one in str(refused.value) for one in known)


@pytest.mark.parametrize(
    ("load", "name", "other"),
    [
        (retrieval, "mmlu", "eval choice"),
        (retrieval, "jsonl:mine.jsonl", "eval choice"),
        (choice, "beir:scifact", "eval retrieval"),
        (choice, "bright:biology", "eval retrieval"),
    ],
)
def test_a_name_of_the_other_kind_is_told_its_command(tmp_path, load, name, other):
    with pytest.raises(DatasetError, match=f"{name} is a data set of `{other}`"):
        load(name, None, tmp_path)


def test_only_bright_has_rewritten_queries(tmp_path):
    with pytest.raises(DatasetError, match="beir:scifact has no gpt4_reason queries"):
        retrieval("beir:scifact", None, tmp_path, queries="gpt4_reason")
