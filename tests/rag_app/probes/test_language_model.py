import json

import pytest

from generation.errors import ReaderUnavailable
from rag_app.errors import SettingsError
from rag_app.probes.base import Problem
from rag_app.probes.language_model import language_model
from rag_app.settings import LLMSettings
from tests.openai_server import OpenAIServer, Reply
from tests.rag_app.probes.servers import closed_port, hanging


@pytest.fixture
def chosen(openai_server: OpenAIServer) -> LLMSettings:
    return LLMSettings(api_base=openai_server.url, model=openai_server.model)


async def test_one_token_is_asked_for(chosen, openai_server):
    found = await language_model(chosen, 5)
    assert found.startswith(f"{openai_server.model} at {openai_server.url}, one token ")
    (request,) = openai_server.requests
    assert request["max_tokens"] == 1
    assert "messages" in request


async def test_who_reads_raw_prompts_is_asked_so(chosen, openai_server):
    await language_model(chosen, 5, chat=False)
    assert "prompt" in openai_server.requests[0]


async def test_the_length_that_the_server_tells_is_held_against_the_settings(chosen, openai_server):
    openai_server.max_model_len = 8192
    assert ", reads 8192 tokens, one token " in await language_model(chosen, 5)
    longer = chosen.model_copy(update={"context_window": 32768})
    with pytest.raises(Problem, match="reads 8192 tokens, and the settings count on 32768") as told:
        await language_model(longer, 5)
    assert "RAG_APP_LLM__CONTEXT_WINDOW" in told.value.hint


async def test_a_server_that_is_down_is_named(chosen):
    down = chosen.model_copy(update={"api_base": f"http://127.0.0.1:{closed_port()}/v1"})
    with pytest.raises(ReaderUnavailable, match="cannot be reached") as error:
        await language_model(down, 5)
    assert down.api_base in error.value.message


async def test_a_server_that_hangs_is_given_up(chosen):
    with hanging() as port, pytest.raises(ReaderUnavailable, match="did not answer in time"):
        hung = chosen.model_copy(update={"api_base": f"http://127.0.0.1:{port}/v1"})
        await language_model(hung, 0.1)


async def test_a_wrong_key_is_told_and_not_shown(chosen, openai_server):
    openai_server.replies = [Reply(status=401, error="wrong key: sk-abcdefghij")]
    with pytest.raises(ReaderUnavailable, match="refuses the key") as error:
        await language_model(chosen, 5)
    assert "sk-" not in str(error.value)


async def test_another_model_is_told_with_those_there_are(chosen, openai_server):
    other = chosen.model_copy(update={"model": "other"})
    with pytest.raises(Problem, match="does not have other") as error:
        await language_model(other, 5)
    assert error.value.hint == f"Name a model that it lists: {openai_server.model}"


async def test_a_busy_server_is_asked_once(chosen, openai_server):
    openai_server.replies = [Reply(status=503)]
    with pytest.raises(ReaderUnavailable, match="failed"):
        await language_model(chosen, 5)
    assert len(openai_server.requests) == 1


@pytest.mark.parametrize("body", ["<html>", json.dumps({"hello": "world"}), json.dumps([1])])
async def test_what_is_no_language_model_is_told(chosen, openai_server, body):
    openai_server.replies = [Reply(body=body)]
    with pytest.raises((ReaderUnavailable, Problem)) as error:
        await language_model(chosen, 5)
    assert openai_server.url in error.value.message


async def test_an_unnamed_model_is_told(chosen):
    with pytest.raises(SettingsError) as error:
        await language_model(chosen.model_copy(update={"model": ""}), 5)
    assert "RAG_APP_LLM__MODEL" in error.value.hint
