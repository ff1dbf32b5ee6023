"""A small run whose questions a real vLLM server answers."""

import pytest

from eval.choice.plan import ChoicePlan
from eval.choice.task import ChoiceTask, begin
from eval.runs.lifecycle import run
from rag_app.assembly import application as assembly
from rag_app.settings import override

pytestmark = pytest.mark.slow


async def test_a_real_server_is_asked_in_every_arm(
    settings, encoder, chat_server, questions, documents, tmp_path
):
    usual = override(
        settings,
        {
            "encoder": {"name": "hashing"},
            "reader": {"kind": "llm", "passages": 2},
            "llm": {
                "model": "tiny-chat", "api_base": f"{chat_server.url}/v1", "max_tokens": 64,
                "context_window": 8192, "parameters": 1e6, "concurrency": 4,
            },
        },
    )  # fmt: skip
    plan = ChoicePlan(
        f"jsonl:{questions}", "closed_book,rag,closed_book#2", limit=4, corpus=str(documents),
        concurrency=4,
    )  # fmt: skip
    directory = begin(tmp_path / "run", plan, usual)
    opened = lambda settings: assembly.open_application(settings)[0]  # noqa: E731
    outcome = await run(directory, ChoiceTask(directory), opened=opened)
    assert (outcome.finished, outcome.errors) == (12, 0)
    records = list(directory.log.read())
    assert {record["detail"] for record in records} == {"constrained"}, "vLLM allows letters only"
    assert all(record["completion_tokens"] > 1 for record in records)
    read = {arm: sum(r["prompt_tokens"] for r in records if r["arm"] == arm) for arm in _arms(plan)}
    assert read["rag"] > read["closed_book"] == read["closed_book#2"]
    assert all(record["flops"] > 2e6 * record["prompt_tokens"] for record in records)
    server = directory.read_json("env.json")["server"]
    assert server["models"][0]["id"] == "tiny-chat"
    assert server["models"][0]["max_model_len"] == 8192


def _arms(plan):
    return plan.arms.split(",")
