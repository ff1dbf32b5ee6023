"""What a run was made under is written down, without secrets."""

import re

from eval.runs.environment import environment
from rag_app.results import IndexInfo
from rag_app.settings import load_settings
from tests.conftest import REPOSITORY
from tests.openai_server import openai_server

__all__ = ["openai_server"]


def settings(**llm):
    return load_settings(overrides={"llm": llm})


async def test_versions_machine_and_indexes_are_known():
    index = IndexInfo("f00", "minilm", "m", 2, 9, True, True, 0)
    found = await environment(settings(), ["rag-app", "eval"], {"books": [index]})
    if (REPOSITORY / ".git").exists():
        assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", found["commit"])
    else:
        assert found["commit"] is None
    assert found["packages"]["numpy"]
    assert found["command"] == ["rag-app", "eval"]
    assert found["indexes"]["books"][0]["fingerprint"] == "f00"
    assert found["server"] is None, "no model is named"


async def test_the_server_says_which_model_it_runs(openai_server):
    found = await environment(settings(model="tiny-model", api_base=openai_server.url), [], {})
    assert found["server"] == {"address": openai_server.url, "models": [{"id": "tiny-model"}]}


async def test_a_server_that_is_down_is_noted_and_stops_nothing():
    found = await environment(settings(model="m", api_base="http://127.0.0.1:9/v1"), [], {})
    assert found["server"]["error"]


async def test_a_command_line_is_kept_without_keys_and_users():
    command = ["rag-app", "--x=sesame", "http://me:word@host/v1", "me@host"]
    found = await environment(settings(api_key="sesame"), command, {})
    assert found["command"] == ["rag-app", "--x=(hidden)", "http://host/v1", "me@host"]
