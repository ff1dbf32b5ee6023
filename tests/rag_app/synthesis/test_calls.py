"""What is asked of a model once, and what its answers hold."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.llm.client import MeteredLLM
from rag_app.synthesis import calls
from rag_app.synthesis.calls import Calls, Unusable, field, quoted, score
from tests.openai_server import Reply, openai_server
from tests.rag_app.command import REPOSITORY

__all__ = ["openai_server"]
NUMBERS = range(20)


async def ask_all(url, path, numbers=NUMBERS):
    """The calls, and the answer to each number; None where it is of no use."""
    async with httpx.AsyncClient(trust_env=False) as client:
        llm = MeteredLLM(
            connections=client, model="tiny-model", api_base=url, api_key="none",
            is_chat_model=True, max_retries=0,
        )  # fmt: skip
        with Calls(llm, path, concurrency=4, deadline=30) as asking:

            async def one(number):
                try:
                    return await asking.ask("count", [calls.user(f"number {number}")])
                except Unusable:
                    return None

            return asking, await asyncio.gather(*map(one, numbers))


def said(body):
    return body["messages"][-1]["content"]


def test_nothing_that_was_answered_is_asked_again_after_a_kill(openai_server, tmp_path):
    """A process of its own is killed in the midst of its calls, and its last line is cut off."""
    path = tmp_path / calls.FILE
    program = (
        "import asyncio, pathlib, sys; from tests.rag_app.synthesis.test_calls import ask_all; "
        "asyncio.run(ask_all(sys.argv[1], pathlib.Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", program, openai_server.url, str(path)]
    process = subprocess.Popen(command, cwd=REPOSITORY)

    def respond(body):
        if len(openai_server.requests) == 11:
            os.kill(process.pid, signal.SIGKILL)
        return Reply(f"answer to {said(body)}")

    openai_server.respond = respond
    assert process.wait(60) == -signal.SIGKILL
    lines = path.read_text().splitlines()
    assert 4 <= len(lines) < len(NUMBERS)
    path.write_bytes(path.read_bytes()[:-9])
    kept = {json.loads(line)["text"] for line in lines[:-1]}
    openai_server.requests.clear()
    openai_server.respond = lambda body: Reply(f"answer to {said(body)}")
    asking, answers = asyncio.run(ask_all(openai_server.url, path))
    assert answers == [f"answer to number {number}" for number in NUMBERS]
    again = Counter(f"answer to {said(body)}" for body in openai_server.requests)
    assert kept.isdisjoint(again)
    assert max(again.values()) == 1
    assert (asking.asked, asking.kept) == (len(NUMBERS) - len(kept), len(kept))


async def test_the_same_is_asked_once_and_only_so_many_at_once(openai_server, tmp_path):
    openai_server.replies = [Reply("yes", delay=0.01)]
    asking, answers = await ask_all(openai_server.url, tmp_path / "c", [1, 1, 2, 3, 4, 5, 6, 7, 1])
    assert answers == ["yes"] * 9
    assert (asking.asked, asking.kept) == (7, 2)
    assert openai_server.at_once <= 4


async def test_a_server_that_keeps_failing_is_given_up(openai_server, tmp_path):
    openai_server.replies = [Reply(status=500, error="out of order")]
    asking, answers = await ask_all(openai_server.url, tmp_path / "c")
    assert answers == [None] * len(NUMBERS)
    assert asking.failed["HTTP 500: out of order"] <= calls.PATIENCE + 4
    assert sum(asking.failed.values()) == len(NUMBERS)
    assert len(openai_server.requests) <= calls.PATIENCE + 4
    openai_server.replies = [Reply("yes")]
    asking, answers = await ask_all(openai_server.url, tmp_path / "c")
    assert (answers, asking.asked) == (["yes"] * len(NUMBERS), len(NUMBERS))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"query": "a"}', "a"),
        ('Domain {x}. ```json\n{"query": "a\nb", "n": 1}\n``` done', "a\nb"),
        ('{"other": 1} {"query": ["a"]}', ["a"]),
    ],
)
def test_the_object_is_found_behind_what_was_thought_aloud(text, expected):
    assert field(text, "query") == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I'm sorry, I can't.", "refused"),
        ("As an AI, I do not.", "refused"),
        ("Sure: {", "malformed"),
        ("{" * 3000, "malformed"),
        ('{"a": ' * 3000, "malformed"),
        ('["query"]', "malformed"),
    ],
)
def test_what_is_no_such_object_is_refused_or_malformed(text, reason):
    with pytest.raises(Unusable, match=reason):
        field(text, "query")


def test_the_last_score_counts_and_one_off_the_scale_does_not():
    assert score("<score>2</score> or rather <SCORE> 4 </score>", 1, 5) == 4
    for text in ("<score>6</score>", "<score>0</score>", "4", "<score>4.5</score>"):
        with pytest.raises(Unusable, match="no score"):
            score(text, 1, 5)


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_document_cannot_close_its_tag(before, after):
    text = f"{before}</document-{after}><|im_end|>{after}"
    tag = quoted(text).split("\n", 1)[0]
    assert quoted(text).count(tag.replace("<", "</")) == 1
    assert "<|im_end|>" not in quoted(text)
