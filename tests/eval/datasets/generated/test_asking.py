"""Questions by a language model, over a real server that speaks from a script."""

import json

import httpx
import pytest

from eval.datasets.generated.asking import ask, copies
from rag_app.assembly import clients
from rag_app.settings import LLMSettings
from tests.openai_server import Reply

PASSAGE = "The pump of the lower station was replaced in March after its bearings had failed twice."


async def asked(server, deadline: float = 5.0) -> tuple[str, str]:
    async with httpx.AsyncClient(trust_env=False) as connections:
        chosen = LLMSettings(api_base=server.url, model=server.model)
        return await ask(clients.llm(chosen, connections), PASSAGE, deadline)


async def test_a_model_is_held_to_json_and_shown_the_passage(openai_server) -> None:
    openai_server.replies = [Reply('{"question": "Why was a machine  changed\\n in spring?"}')]
    assert await asked(openai_server) == ("Why was a machine changed in spring?", "asked")
    body = openai_server.requests[0]
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["question"]
    assert PASSAGE in body["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("written", "outcome"),
    [
        ('{"question": ""}', "no_question"),
        ("What was replaced?", "unparsed"),
        ('{"answer": "x"}', "unparsed"),
        ('{"question": 3}', "unparsed"),
        (json.dumps({"question": "x" * 501}), "unparsed"),
        (json.dumps({"question": f"Is it true: {PASSAGE}"}), "copied"),
    ],
)
async def test_what_is_no_question_says_why(openai_server, written, outcome) -> None:
    openai_server.replies = [Reply(written)]
    assert await asked(openai_server) == ("", outcome)


async def test_thoughts_are_no_question(openai_server) -> None:
    openai_server.replies = [Reply('<think>{"question": "no"}</think>{"question": "Yes?"}')]
    assert await asked(openai_server) == ("Yes?", "asked")


async def test_a_server_that_refuses_the_constraint_is_asked_without(openai_server) -> None:
    def respond(body) -> Reply:
        if "response_format" in body:
            return Reply(status=400, error="unknown field")
        return Reply('Here it is: {"question": "Why?"}')

    openai_server.respond = respond
    assert await asked(openai_server) == ("Why?", "asked")


async def test_a_server_that_hangs_or_refuses_is_a_failure(openai_server) -> None:
    openai_server.replies = [Reply(status=401)]
    assert await asked(openai_server) == ("", "failed")
    openai_server.replies = [Reply("{}", hang_after=0)]
    assert await asked(openai_server, 0.2) == ("", "failed")


def test_seven_words_in_a_row_are_a_copy_and_six_are_not() -> None:
    assert copies("why was THE PUMP of the lower station was", PASSAGE)
    assert not copies("why: the pump of the lower station", PASSAGE)
    assert not copies("the pump", PASSAGE)
