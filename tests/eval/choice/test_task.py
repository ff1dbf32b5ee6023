"""A run from the data set to the report, over a scratch application and a scripted server."""

import csv
import json
import logging
from dataclasses import replace

import pytest

from eval.choice.plan import ChoicePlan
from eval.choice.task import ChoiceTask, begin
from eval.errors import DatasetError, EvalError
from eval.report import write
from eval.runs.directory import RunDirectory
from eval.runs.lifecycle import run
from eval.runs.runner import TooManyErrors
from rag_app.assembly import application as assembly
from rag_app.settings import override
from tests.eval.choice.quiz import THINGS, reads, write_documents, write_questions
from tests.openai_server import Reply


@pytest.fixture
def usual(settings, encoder, openai_server):
    """An LLM reader, and the encoder that needs no weights."""
    openai_server.respond = reads
    return override(
        settings,
        {
            "encoder": {"name": "hashing"},
            "reader": {"kind": "llm", "passages": 4},
            "llm": {"model": openai_server.model, "api_base": openai_server.url},
        },
    )


@pytest.fixture
def plan(questions, documents):
    return ChoicePlan(
        f"jsonl:{questions}", "closed_book,rag,random", corpus=str(documents), concurrency=4
    )


def opened(settings):
    return assembly.open_application(settings)[0]


async def finish(directory):
    """To the end, but without the reports, which take a second each."""
    return await run(directory, ChoiceTask(directory), opened=opened, write_line=lambda _: None)


def samples(directory, arm=None):
    return {
        record["id"] if arm else record["key"]: record
        for record in directory.log.read()
        if arm in (None, record["arm"])
    }


@pytest.fixture
def changed(plan, tmp_path, usual):
    """Begins a run with some of the plan changed."""
    number = 0

    def begun(**more):
        nonlocal number
        number += 1
        return begin(tmp_path / f"run{number}", replace(plan, **more), usual)

    return begun


async def test_a_reader_that_reads_gains_by_the_right_passages_alone(changed):
    directory = changed()
    outcome = await run(directory, ChoiceTask(directory), opened=opened)
    write(directory)
    assert (outcome.finished, outcome.errors) == (90, 0)
    metrics = directory.read_json("metrics.json")
    accuracy = {name: arm["accuracy"] for name, arm in metrics["arms"].items()}
    assert accuracy["rag"] > 0.8
    assert accuracy["closed_book"] < 0.6
    assert accuracy["random"] < 0.6
    assert metrics["delta"]["rag-closed_book"]["mcnemar_p"] < 0.05
    assert directory.read_json("progress.json")["state"] == "done"
    assert directory.read_json("progress.json")["accuracy"] == pytest.approx(accuracy)
    assert set(directory.read_json("timings.json")) == set(accuracy)
    assert directory.read_json("env.json")["indexes"]["eval-town"][0]["documents"] == len(THINGS)
    assert (directory.path / "report.html").exists()
    assert (directory.path / "report.md").exists()


async def test_the_server_gets_the_same_in_every_arm_but_for_passages(changed, openai_server):
    await finish(changed(limit=5))
    first = [body for body in openai_server.requests if len(body["messages"]) == 2]
    asked = {}
    for body in first:
        system, user = (message["content"] for message in body["messages"])
        question = user[user.index("Question:") :]
        settings = {key: value for key, value in body.items() if key != "messages"}
        asked.setdefault(question, []).append((system, json.dumps(settings, sort_keys=True)))
    assert len(asked) == 5
    assert all(len(arms) == 3 and len(set(arms)) == 1 for arms in asked.values())


async def test_orders_are_the_same_in_every_arm(changed):
    directory = changed(repeats=2, limit=6)
    await finish(directory)
    orders = {}
    for record in samples(directory).values():
        orders.setdefault((record["id"], record["repeat"]), set()).add(tuple(record["order"]))
    assert len(orders) == 12
    assert all(len(of_arms) == 1 for of_arms in orders.values())


async def test_random_passages_are_as_many_and_as_long_as_those_of_the_same_question(changed):
    directory = changed()
    await finish(directory)
    rag, random = samples(directory, "rag"), samples(directory, "random")
    for question, record in rag.items():
        found, drawn = record["passages"], random[question]["passages"]
        words = [
            sum(len(shown["text"].split()) for shown in passages) for passages in (found, drawn)
        ]
        assert len(found) == len(drawn)
        assert abs(words[1] - words[0]) <= 0.1 * words[0]
        assert not {p["passage_id"] for p in found} & {p["passage_id"] for p in drawn}


async def test_two_runs_of_one_plan_have_the_same_metrics(changed, openai_server):
    first, second = changed(), changed(cache=False)
    await finish(first)
    asked = len(openai_server.requests)
    await finish(second)
    assert len(openai_server.requests) == 2 * asked, "without the cache all are asked again"
    assert _bytes(first) == _bytes(second)


async def test_answers_of_an_earlier_run_need_no_server(changed, openai_server):
    await finish(changed())
    asked = len(openai_server.requests)
    second = changed(arms="closed_book,rag,random,closed_book#2")
    await finish(second)
    again = 2 * len(THINGS)
    assert len(openai_server.requests) == asked + again, "but a second time means a second time"
    cached = {record["arm"] for record in samples(second).values() if record["cached"]}
    assert cached == {"closed_book", "rag", "random"}
    assert second.read_json("metrics.json")["noise_floor"]["n"] == len(THINGS)


async def test_a_limit_asks_a_part_of_what_a_larger_one_asks(changed):
    small, large, other = changed(limit=5), changed(limit=12), changed(limit=5, seed=1)
    for directory in (small, large, other):
        await finish(directory)
    asked = [set(samples(directory, "rag")) for directory in (small, large, other)]
    assert asked[0] < asked[1]
    assert asked[0] != asked[2]
    assert {r["subject"] for r in samples(large).values()} == {"tools", "places"}
    assert "first 5 by sha256" in small.plan["questions"]


async def test_subjects_are_chosen_by_name(changed):
    directory = changed(subjects=("Tools",), arms="closed_book")
    await finish(directory)
    assert {record["subject"] for record in samples(directory).values()} == {"tools"}
    assert directory.read_json("metrics.json")["subjects_chosen"] == ["tools"]


# --- what goes wrong -------------------------------------------------------------------------


async def test_failed_questions_are_asked_again_and_nothing_else_is(changed, openai_server):
    whole, broken = changed(cache=False), changed(cache=False, max_errors=0.5)
    await finish(whole)
    openai_server.respond = lambda body: (
        Reply(status=400, error="no kettles") if "kettle of" in str(body) else reads(body)
    )
    outcome = await finish(broken)
    failed = [r for r in samples(broken).values() if r["state"] == "error"]
    assert outcome.errors == len(failed) == 3 + _with_kettle(broken)
    assert all("no kettles" in record["detail"] for record in failed)
    assert broken.read_json("metrics.json")["arms"]["closed_book"]["errors"] == 1
    openai_server.respond = reads
    openai_server.requests.clear()
    outcome = await finish(broken)
    assert (outcome.finished, outcome.errors) == (90, 0)
    assert len(openai_server.requests) == 2 * len(failed)
    assert _bytes(broken) == _bytes(whole)


def _with_kettle(directory):
    """Samples of other questions whose passages hold the word, and so fail, too."""
    return sum(
        record["state"] == "error" and record["id"] != "q-kettle"
        for record in samples(directory).values()
    )


async def test_a_server_that_is_down_stops_the_run_and_a_resumed_one_is_like_any_other(
    changed, openai_server
):
    whole, stopped = changed(cache=False), changed(cache=False)
    await finish(whole)
    openai_server.respond = lambda _: Reply(status=401)
    with pytest.raises(TooManyErrors, match=rf"refuses the key.*eval resume {stopped.path}"):
        await finish(stopped)
    assert stopped.read_json("progress.json")["state"] == "failed"
    assert "refuses the key" in stopped.read_json("progress.json")["message"]
    assert not (stopped.path / "metrics.json").exists()
    openai_server.respond = reads
    await finish(stopped)
    assert _bytes(stopped) == _bytes(whole)


async def test_a_question_that_finds_nothing_is_an_error_of_that_arm(changed, questions):
    lines = [json.loads(line) for line in questions.read_text().splitlines()]
    choices = ["quasar", "zebra", "yak", "walrus"]
    lines[3] |= {"id": "lost", "question": "Xylophone?", "choices": choices}
    questions.write_text("\n".join(map(json.dumps, lines)))
    directory = changed(arms="closed_book,rag:bm25", max_errors=0.1)
    assert (await finish(directory)).errors == 1
    (failed,) = [r for r in samples(directory).values() if r["state"] == "error"]
    assert (failed["arm"], failed["id"]) == ("rag:bm25", "lost")
    assert "no passages were found" in failed["detail"]


async def test_an_empty_collection_refuses_to_start(changed, openai_server, tmp_path, documents):
    for document in documents.iterdir():
        document.unlink()
    write_documents(documents, THINGS[:1])
    first = changed(limit=2, arms="closed_book,rag", passages=1)
    await finish(first)
    application = opened(first.settings())
    await application.delete_document("eval-town", f"{THINGS[0]}.txt")
    await application.close()
    openai_server.requests.clear()
    with pytest.raises(EvalError, match="is empty"):
        await finish(changed(corpus="", collection="eval-town"))
    assert openai_server.requests == []


async def test_what_is_different_in_each_attempt_is_written_down(changed):
    directory = changed(limit=2, arms="closed_book")
    for command in (["first"], ["second"], ["second"], ["first"]):
        await run(directory, ChoiceTask(directory), opened=opened, command=command)
    kept = directory.read_json("env.json")
    assert kept["command"] == ["first"]
    changes = [change["command"] for change in kept["resumed"] if "command" in change]
    assert changes == [["second"], ["first"]], "the same again is nothing new"


async def test_other_passages_than_a_run_began_with_are_refused(changed, openai_server, documents):
    directory = changed()
    openai_server.respond = lambda _: Reply(status=401)
    with pytest.raises(TooManyErrors):
        await finish(directory)
    write_documents(documents, ["xylophone"])
    openai_server.respond = reads
    with pytest.raises(EvalError, match="collection eval-town has changed"):
        await finish(directory)


async def test_another_data_set_than_a_run_began_with_is_refused(changed, questions):
    directory = changed()
    write_questions(questions, THINGS[:7])
    with pytest.raises(EvalError, match="has changed since the run"):
        await finish(directory)


@pytest.mark.parametrize(
    ("more", "error", "reason"),
    [
        ({"arms": "open_book"}, EvalError, "unknown"),
        ({"dataset": "jsonl:nowhere"}, DatasetError, "nowhere"),
        ({"subjects": ("chess",)}, DatasetError, "chess"),
    ],
)
def test_what_cannot_be_asked_leaves_no_folder(changed, tmp_path, more, error, reason):
    with pytest.raises(error, match=reason):
        changed(**more)
    assert not (tmp_path / "run1").exists()


# --- private data sets -----------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path):
    """As many invented questions as GPQA has, in its form."""
    folder = tmp_path / "data" / "gpqa"
    folder.mkdir(parents=True)
    answers = ["Correct Answer", *(f"Incorrect Answer {n}" for n in (1, 2, 3))]
    with (folder / "gpqa_diamond.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Record ID", "Question", *answers, "High-level domain"])
        for n in range(198):
            choices = [f"quokka{n}{letter}" for letter in "abcd"]
            writer.writerow([f"rec{n}", f"Which wombat{n} of the old town?", *choices, "Zoology"])
    return tmp_path / "data"


async def test_a_private_data_set_leaves_no_text_anywhere(
    changed, secret, openai_server, caplog, capfd, tmp_path
):
    def answers(body):
        if "wombat7 " in str(body):
            return Reply(status=400, error=f"cannot take {body['messages'][-1]['content']}")
        return Reply("A wombat thought. The answer is (B)")

    openai_server.respond = answers
    directory = changed(dataset="gpqa_diamond", arms="rag", data_dir=str(secret), max_errors=0.5)
    with caplog.at_level(logging.DEBUG):
        outcome = await run(directory, ChoiceTask(directory), opened=opened)
        write(directory)
    assert outcome.errors == 1
    assert directory.dataset["private"]
    assert len(openai_server.requests) >= 198, "they were really asked"
    written = caplog.text + "".join(capfd.readouterr())
    files = [*directory.path.rglob("*"), *(tmp_path / "storage" / "evaluations").rglob("*")]
    assert len(files) > 9
    for file in files:
        if file.is_file():
            written += file.read_bytes().decode("utf-8", "replace")
    for text in ("wombat", "quokka", "Visitors come"):
        assert text not in written
    assert "rec7" in written, "questions are named by their ids"


def _bytes(directory: RunDirectory) -> bytes:
    return (directory.path / "metrics.json").read_bytes()
