"""Names of systems and what they are asked with."""

import pytest

from rag_app.errors import SettingsError
from rag_app.service import QueryOptions
from rag_app.settings import load_settings
from rag_app.systems.grammar import System, chosen, compared, parse, parse_all, product


def test_a_name_says_all_of_the_pipeline() -> None:
    assert parse("hybrid") == System(
        "hybrid", QueryOptions(retriever="hybrid", rewrite="none", rerank="none")
    )
    assert parse("dense@reasonir-8b").options.encoder == "reasonir-8b"
    assert parse(" hybrid@minilm+rewrite+qwen ") == System(
        "hybrid@minilm+rewrite+qwen",
        QueryOptions(retriever="hybrid", encoder="minilm", rewrite="llm", rerank="qwen"),
    )


def test_parts_in_another_order_are_the_same_system() -> None:
    assert parse("bm25+cross-encoder+rewrite") == parse("bm25+rewrite+cross-encoder")


@pytest.mark.parametrize(
    "text",
    ["", "none", "bm26", "dense@", "dense+rewrite+rewrite", "dense+qwen+rank1", "dense+rerank",
     "dense+none+none"],
)  # fmt: skip
def test_a_name_that_cannot_be_run_is_refused_with_the_form_it_should_have(text: str) -> None:
    with pytest.raises(SettingsError, match="RETRIEVER"):
        parse(text)


def test_the_same_system_under_two_names_is_refused() -> None:
    assert [system.name for system in parse_all(["bm25", "", "dense"])] == ["bm25", "dense"]
    with pytest.raises(SettingsError, match="named twice"):
        parse_all(["dense+qwen+rewrite", "dense+rewrite+qwen"])
    with pytest.raises(SettingsError, match="no system"):
        parse_all([""])


def test_a_product_has_every_combination_and_lexical_retrievers_once() -> None:
    systems = product(["bm25", "dense"], ["a", "b"], ["none", "llm"], ["none", "qwen"])
    assert [system.name for system in systems] == [
        "bm25", "bm25+qwen", "bm25+rewrite", "bm25+rewrite+qwen",
        "dense@a", "dense@a+qwen", "dense@a+rewrite", "dense@a+rewrite+qwen",
        "dense@b", "dense@b+qwen", "dense@b+rewrite", "dense@b+rewrite+qwen",
    ]  # fmt: skip


def test_bm25_searches_an_index_that_is_built_anyway() -> None:
    bm25, dense = product(["bm25", "dense"], ["a"])
    assert (bm25.name, bm25.options.encoder) == ("bm25", "a")
    assert not bm25.reads_query
    assert dense.reads_query
    assert product(["bm25"])[0].options.encoder is None


def test_without_any_name_the_settings_are_the_system() -> None:
    assert chosen(load_settings()) == [parse("hybrid")]
    reranked = load_settings(overrides={"rerank": {"kind": "qwen"}})
    assert chosen(reranked) == [parse("hybrid+qwen")]
    assert chosen(reranked, retrievers=["bm25"]) == [parse("bm25+qwen")]
    assert chosen(reranked, retrievers=["bm25"], reranks=["none"]) == [parse("bm25")]


def test_named_systems_stand_beside_a_product() -> None:
    settings = load_settings()
    assert chosen(settings, ["dense+qwen"]) == [parse("dense+qwen")]
    assert chosen(settings, ["dense+qwen"], ["bm25"]) == [parse("dense+qwen"), parse("bm25")]
    with pytest.raises(SettingsError, match="named twice"):
        chosen(settings, ["bm25"], ["bm25"])


# --- for comparisons -----------------------------------------------------------------------------

ENCODERS = {"minilm", "reasonir-8b"}


def test_an_encoder_alone_is_a_system_of_its_own():
    systems = compared("bm25, dense@minilm,reasonir-8b,hybrid+qwen,", ENCODERS, "minilm")
    names = ["bm25", "dense@minilm", "dense@reasonir-8b", "hybrid+qwen"]
    assert [system.name for system in systems] == names
    assert systems[2].options.encoder == "reasonir-8b"


@pytest.mark.parametrize("item", ["bert", "none", "dense@bert", "dense@", "@minilm", "bert@minilm"])
def test_an_unknown_system_names_those_there_are(item):
    with pytest.raises(SettingsError, match=r"dense, bm25|minilm, reasonir-8b|no encoder"):
        compared(f"bm25,{item}", ENCODERS, "minilm")


@pytest.mark.parametrize(
    "text", ["bm25,bm25", "reasonir-8b,dense@reasonir-8b", "hybrid,hybrid@minilm"]
)
def test_a_system_that_is_compared_with_itself_is_refused(text):
    with pytest.raises(SettingsError, match="named twice"):
        compared(text, ENCODERS, "minilm")


@pytest.mark.parametrize("text", ["", " , ", "bm25"])
def test_one_system_alone_cannot_be_compared(text):
    with pytest.raises(SettingsError, match=r"no system|nothing to compare"):
        compared(text, ENCODERS, "minilm")


def test_a_class_of_the_settings_is_left_to_them():
    settings = load_settings(overrides={"rerank": {"kind": "package.module:Class"}})
    (system,) = chosen(settings)
    assert system.name == "hybrid+package.module:Class"
    assert system.options.rerank is None
    with pytest.raises(SettingsError, match="unknown"):
        parse("hybrid+package.module:Class")
