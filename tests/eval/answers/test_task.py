"""A run over free answers, from the file to the report, with the reader that needs no model."""

import json

import pytest

from eval.answers.plan import AnswersPlan
from eval.answers.task import AnswersTask, begin
from eval.errors import DatasetError, EvalError
from eval.report import write
from eval.report.comparing import compare
from eval.runs.lifecycle import run
from rag_app.assembly import application as assembly
from rag_app.settings import override


@pytest.fixture
def usual(settings, encoder):
    return override(settings, {"encoder": {"name": "hashing"}, "reader": {"kind": "quote"}})


@pytest.fixture
def plan(tmp_path):
    folder = tmp_path / "town"
    folder.mkdir()
    (folder / "harbour.txt").write_text("The harbour of the old town is deep. Ships wait there.")
    (folder / "lantern.txt").write_text("The lantern above the gate is green at night.")
    questions = [
        {"id": "a", "question": "How deep is the harbour of the town?", "document": "harbour.txt"},
        {"id": "b", "question": "Which colour has the lantern above the gate?"},
        {"id": "c", "question": "Xylophone quasar?", "answerable": False},
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, questions)))
    return AnswersPlan(f"jsonl:{tmp_path / 'q.jsonl'}", collection="town", corpus=str(folder))


def opened(settings):
    return assembly.open_application(settings)[0]


async def test_quoted_answers_are_faithful_and_a_hopeless_question_is_abstained_on(
    tmp_path, usual, plan
):
    directory = begin(tmp_path / "run", plan, usual)
    result = await run(directory, AnswersTask(directory), opened=opened, write_line=lambda _: None)
    assert (result.finished, result.errors) == (3, 0)
    system = directory.read_json("metrics.json")["systems"]["rag"]
    assert system["faithfulness"]["value"] == 1
    assert system["citation_recall"]["value"] == 1
    assert system["citation_precision"]["value"] == 1
    assert system["answered"] == {"value": 1, "ci95": [1, 1], "n": 2}
    assert system["abstained"]["value"] == 1
    assert system["document_cited"]["value"] == 1
    write(directory)
    assert "stands in the passages" in (directory.path / "report.md").read_text()
    again = await run(directory, AnswersTask(directory), opened=opened, write_line=lambda _: None)
    assert again.metrics == result.metrics
    with pytest.raises(EvalError, match="no paired test"):
        compare(directory, directory)


async def test_a_collection_that_is_not_there_is_refused(tmp_path, usual, plan):
    empty = AnswersPlan(plan.dataset, collection="none")
    directory = begin(tmp_path / "run", empty, usual)
    with pytest.raises(Exception, match="none"):
        await run(directory, AnswersTask(directory), opened=opened, write_line=lambda _: None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"id": "a"}, "no question"),
        ({"id": "a", "question": "?", "answerable": "yes"}, "answerable"),
        ({"question": "?"}, "no id"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, usual, line, reason):
    (tmp_path / "q.jsonl").write_text(json.dumps(line))
    with pytest.raises(DatasetError, match=rf"line 1 .*{reason}"):
        begin(tmp_path / "run", AnswersPlan(f"jsonl:{tmp_path / 'q.jsonl'}"), usual)
