import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.training import examples
from retrieval.training.examples import Example, TrainingDataError

WORDS = st.text(min_size=1).filter(lambda text: text.strip())


def written(tmp_path, *records):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def test_reasonirs_pairs_of_instruction_and_text_are_read(tmp_path):
    record = {"query": ["Find it.", "why?"], "pos": [["", "because"]], "neg": [["", "so what"]]}
    (found,) = examples.read(written(tmp_path, record))
    assert found == Example(query="why?", prompt="Find it.", pos=["because"], neg=["so what"])


def test_reason_embeds_file_is_read(tmp_path):
    record = {
        "prompt": "Instruct: find",
        "query": "why?",
        "reasoning_query": "why, and what follows?",
        "pos": ["because", "therefore"],
        "neg": ["no"],
        "train_group_size": 16,
        "batch_size": 8,
    }
    (found,) = examples.read(written(tmp_path, record))
    assert found.reasoning_query == "why, and what follows?"
    assert found.pos == ["because", "therefore"]


@given(
    st.lists(
        st.builds(
            Example,
            query=WORDS,
            pos=st.lists(WORDS, min_size=1, max_size=3),
            neg=st.lists(WORDS, max_size=3),
            reasoning_query=st.text(),
        ),
        max_size=4,
    )
)
def test_what_is_written_is_read_again(tmp_path_factory, made):
    path = tmp_path_factory.mktemp("data") / "train.jsonl"
    assert examples.write(path, made) == len(made)
    assert examples.read(path.parent) == made
    for line in path.read_text("utf-8").split("\n")[:-1]:
        assert {"query", "pos", "neg"} <= json.loads(line).keys()


@pytest.mark.parametrize(
    "bad",
    [
        {"query": "q", "pos": []},
        {"query": "", "pos": ["a"]},
        {"query": "q", "pos": ["a", " "]},
        {"query": "q", "pos": ["a"], "pos_id": ["1", "2"]},
        {"query": "q", "pos": "a"},
        ["q", "a"],
    ],
)
def test_a_bad_line_is_named(tmp_path, bad):
    path = written(tmp_path, {"query": "q", "pos": ["a"], "neg": []}, bad)
    with pytest.raises(TrainingDataError, match="line 2"):
        examples.read(path)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(TrainingDataError, match="rag-app synthesize"):
        examples.read(tmp_path)
