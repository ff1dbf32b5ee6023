"""Arms are named as the command line names them."""

import pytest

from eval.choice.arms import parse_all, resolve, retrieving
from eval.errors import EvalError
from rag_app.service import DEFAULT_OPTIONS
from rag_app.settings import load_settings, override
from rag_app.systems.grammar import UnknownSystem


def test_arms_come_in_the_order_they_are_named():
    arms = parse_all("closed_book, rag,random,rag:bm25+qwen,closed_book#2,rag#3")
    assert [(arm.name, arm.kind, arm.replicate) for arm in arms] == [
        ("closed_book", "closed_book", 1),
        ("rag", "rag", 1),
        ("random", "random", 1),
        ("rag:bm25+qwen", "rag", 1),
        ("closed_book#2", "closed_book", 2),
        ("rag#3", "rag", 3),
    ]
    assert arms[1].options == DEFAULT_OPTIONS
    assert (arms[3].options.retriever, arms[3].options.rerank) == ("bm25", "qwen")
    assert [arm.name for arm in retrieving(arms)] == ["rag", "random", "rag:bm25+qwen", "rag#3"]


def test_random_passages_are_measured_by_the_first_arm_that_retrieves():
    random, _, _ = parse_all("random,rag:bm25,rag")
    assert random.options.retriever == "bm25"
    (alone,) = parse_all("random")
    assert alone.options == DEFAULT_OPTIONS


def test_what_an_arm_leaves_open_is_said_for_applications_with_other_settings():
    settings = load_settings(
        overrides={"retrieval": {"retriever": "dense", "weight": 0.1}, "rerank": {"kind": "rank1"}}
    )
    usual, named = (resolve(arm, settings).options for arm in parse_all("rag,rag:bm25+qwen"))
    assert (usual.retriever, usual.weight, usual.rerank) == ("dense", 0.1, "rank1")
    assert (named.retriever, named.weight, named.rerank) == ("bm25", 0.1, "qwen")
    assert usual.encoder == named.encoder == "minilm"
    for options in (usual, named):
        assert override(settings, options.overrides()).retrieval.top_k == settings.retrieval.top_k


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no arm is named"),
        ("rag,rag", "named twice"),
        ("open_book", "unknown"),
        ("closed_book:bm25", "unknown"),
        ("rag#1", "from 2"),
        ("rag#", "from 2"),
        ("rag#²", "from 2"),
        ("rag:", "unknown"),
        ("rag:bm26", "unknown"),
    ],
)
def test_what_is_no_arm_is_refused(text, reason):
    with pytest.raises((EvalError, UnknownSystem), match=reason):
        parse_all(text)
