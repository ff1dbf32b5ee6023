import pytest

from retrieval.published import STACK_EXCHANGE
from retrieval.reranking.definitions import DEFINITIONS, relevance


def test_bright_has_six_variants_that_differ():
    names = {"general", "aops", "theoremqa_questions", "theoremqa_theorems", "leetcode", "pony"}
    assert set(DEFINITIONS) == names
    assert len(set(DEFINITIONS.values())) == len(names)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_name_stands_for_its_text(name):
    assert relevance(f" {name} ") == DEFINITIONS[name]


@pytest.mark.parametrize("task", STACK_EXCHANGE)
def test_the_stack_exchange_tasks_share_the_general_one(task):
    assert relevance(task) == DEFINITIONS["general"]


def test_no_definition_is_the_general_one():
    assert relevance("") == relevance("  ") == DEFINITIONS["general"]


def test_any_other_text_is_the_definition_itself():
    assert relevance(" A page that names the pump. ") == "A page that names the pump."
