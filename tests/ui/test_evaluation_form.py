"""What the fields of the evaluation page become as a command of `eval`."""

from pathlib import Path

import pytest

from rag_app.errors import ApplicationError
from rag_app.settings import Settings, override
from ui.evaluation_form import ANSWERS, CHOICE, COLLECTION, FIELDS, FOLDER, RUNS, SCORE, launch
from ui.parts import Part, Parts, chosen_parts
from ui.parts_rendering import check_boxes

PARTS = Parts(
    [Part("bm25", "bm25")],
    [Part("minilm", "minilm"), Part("mine", "mine"), Part("far", "far", "is not downloaded")],
    [Part("", "none"), Part("rewrite", "rewrite")],
    [Part("", "none"), Part("qwen", "qwen", "needs <a> model"), Part("rank1", "rank1")],
)


def values(subject: str, dataset: str = "", **changed: object) -> list[object]:
    usual: dict[str, object] = {
        "collection": "c", "dataset": dataset, "first": None, "second": None,
        "retrievers": ["bm25", "dense"], "checked": {}, "arms": ["rag"],
        # what nobody has typed into is sent as None
        **{one.name: one.value or (None if one.kind != "check" else False) for one in FIELDS},
    }  # fmt: skip
    return [subject, *(usual | changed).values()]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "mine").mkdir()
    (tmp_path / "asked.jsonl").write_text("")
    return override(Settings(), {"server": {"data_dir": tmp_path}})


def test_what_is_left_as_it_was_is_not_handed_on(settings):
    asked = launch(settings, PARTS, values(COLLECTION))
    assert (asked.kind, asked.dataset) == ("retrieval", "own")
    assert asked.options == {
        "limit": 100, "questions": 100, "collection": "c", "retrievers": ["bm25", "dense"],
    }  # fmt: skip


def test_each_subject_is_its_command(settings, tmp_path):
    checked = {"encoders": ["minilm", "mine"], "rewriters": ["", "rewrite"], "rerankers": [""]}
    asked = launch(
        settings,
        PARTS,
        values(FOLDER, "mine", checked=checked, depth=50.0, lengths="64", limit=None),
    )
    assert (asked.kind, asked.dataset) == ("retrieval", f"beir:{tmp_path / 'mine'}")
    assert asked.options["encoders"] == ["minilm", "mine"]
    assert asked.options["rewrite"] == ["none", "llm"]
    assert "rerank" not in asked.options
    assert (asked.options["depth"], asked.options["limit"]) == (50, None)

    asked = launch(settings, PARTS, values(CHOICE, "mmlu", further_arms="rag:bm25, ", cache=False))
    assert (asked.kind, asked.dataset) == ("choice", "mmlu")
    assert asked.options["arms"] == ["rag", "rag:bm25"]
    assert asked.options["cache"] is False

    asked = launch(settings, PARTS, values(ANSWERS, "asked.jsonl", concurrency="4"))
    assert asked.options["concurrency"] == 4
    assert (asked.kind, asked.dataset) == ("answers", f"jsonl:{tmp_path / 'asked.jsonl'}")

    asked = launch(settings, PARTS, values(SCORE, "bright:biology", run_file="asked.jsonl"))
    assert (asked.kind, asked.dataset) == ("score", str(tmp_path / "asked.jsonl"))
    assert asked.options["dataset"] == "bright:biology"

    asked = launch(settings, PARTS, values(RUNS, first="a", second="b"))
    assert (asked.kind, asked.options) == ("compare", {"first": "a", "second": "b"})
    asked = launch(settings, PARTS, values(RUNS, first="a", second="b", tolerance="1.5"))
    assert (asked.kind, asked.options["tolerance"]) == ("gate", 1.5)


@pytest.mark.parametrize(
    "wrong",
    [
        values("other"),
        values(COLLECTION, collection=None),
        values(COLLECTION, retrievers=[]),
        values(CHOICE, "mmlu", arms=[]),
        values(FOLDER, "../mine"),
        values(FOLDER, "gone"),
        values(SCORE, "bright:biology", run_file="/etc/passwd"),
        values(RUNS, first="a", second="a"),
        values(RUNS, first="a", second=["b"]),
        values(COLLECTION, concurrency="many"),
        values(COLLECTION, checked={"encoders": ["far"]}),
        values(COLLECTION, checked={"rerankers": []}),
        values(COLLECTION, checked={"rewriters": [{}]}),
        values(COLLECTION, checked={"rewriters": "rewrite"}),
    ],
)
def test_what_cannot_be_measured_is_refused(settings, wrong):
    with pytest.raises(ApplicationError):
        launch(settings, PARTS, wrong)


def test_parts_that_cannot_work_are_greyed_with_their_reason():
    shown = check_boxes(PARTS)
    assert 'name="encoders" value="minilm" checked' in shown
    assert 'name="encoders" value="far" disabled' in shown
    assert "needs &lt;a&gt; model" in shown
    assert chosen_parts(PARTS, {"encoders": ["minilm"]}) == {}
    assert chosen_parts(PARTS, None) == {}
