from rag_app.assembly.defaults import in_force
from rag_app.settings import load_settings


def test_what_is_unset_is_shown_as_it_holds():
    qwen = in_force(load_settings(overrides={"rerank": {"kind": "qwen", "deadline": 7}}))
    shown = qwen["rerank"]
    assert (shown["weight"], shown["normalise"], shown["passage_tokens"]) == (0.5, "minmax", 1024)
    assert (shown["concurrency"], shown["deadline"]) == (32, 7), "what is set stays"
    served = in_force(load_settings(overrides={"rerank": {"kind": "cross-encoder"}}))
    assert (served["rerank"]["weight"], served["rerank"]["concurrency"]) == (1.0, 4)
    here = {"kind": "cross-encoder", "model": "ettin-reranker-17m"}
    local = in_force(load_settings(overrides={"rerank": here}))
    assert local["rerank"]["concurrency"] == 1, "one batch at a time"
    assert qwen["encoder"]["passage_length"] == 256


def test_where_nothing_grades_nothing_is_made_up():
    shown = in_force(load_settings())["rerank"]
    assert (shown["weight"], shown["deadline"]) == (None, None)


def test_settings_that_name_nothing_there_is_are_shown_all_the_same():
    shown = in_force(load_settings(overrides={"encoder": {"name": "magic"}}))
    assert shown["encoder"]["name"] == "magic"
