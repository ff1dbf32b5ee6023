"""Three processes on one Qdrant server and one storage folder, behind a proxy."""

import asyncio
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from data.errors import RagAppError
from generation.reading import TextDelta
from rag_app.remote.service import RemoteService
from rag_app.results import Answer
from tests.openai_server import OpenAIServer, Reply
from tests.retrieval.index.qdrant_server import QdrantServer
from tests.ui.proxy import RoundRobin
from tests.ui.running import PASSWORD, RunningApp

THE_PASSWORD = "a password of three"
LAMPS = {
    "How often does the northern lamp flash?": "north.md",
    "What colour has the southern lamp?": "south.md",
    "Who keeps the harbour bell?": "bell.md",
}
TEXTS = {
    "north.md": "The northern lamp flashes twice every eleven seconds.",
    "south.md": "The southern lamp has a green colour.",
    "bell.md": "Old Marten keeps the harbour bell and rings it in fog.",
}
QUESTIONS, EVERY, KILLED_AFTER = 60, 0.05, 20


@pytest.fixture(scope="module")
def llm() -> Iterator[OpenAIServer]:
    server = OpenAIServer().start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def apps(tmp_path_factory, llm: OpenAIServer) -> Iterator[list[RunningApp]]:
    storage: Path = tmp_path_factory.mktemp("shared")
    with ExitStack() as started:
        qdrant = QdrantServer()
        started.callback(qdrant.stop)
        settings = {
            PASSWORD: THE_PASSWORD,
            "RAG_APP_STORAGE__ENGINE": "server",
            "RAG_APP_STORAGE__URL": qdrant.url,
            "RAG_APP_STORAGE__GRPC_PORT": str(qdrant.grpc_port),
            "RAG_APP_READER__KIND": "llm",
            "RAG_APP_LLM__API_BASE": llm.url,
            "RAG_APP_LLM__MODEL": llm.model,
        }
        with ThreadPoolExecutor(3) as threads:
            running = list(
                threads.map(
                    lambda _: RunningApp(storage, ["serve", "--port", "0"], **settings), range(3)
                )
            )
        for one in running:
            started.callback(one.stop, signal.SIGKILL)
        yield running


async def ask(address: str, question: str) -> str:
    """The document of the best hit, over a connection of its own."""
    service = RemoteService(address, THE_PASSWORD)
    try:
        found = await service.search("default", question)
        return str(found.hits[0].source)
    finally:
        await service.close()


async def test_a_killed_process_costs_the_requests_that_it_had(apps, tmp_path):
    first, second, _ = apps
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    service = RemoteService(first.address, THE_PASSWORD)
    await service.ingest("default", [tmp_path])
    await service.close()
    for one in apps:  # all see what one has written
        assert {await ask(one.address, question) for question in LAMPS} == set(TEXTS)

    proxy = RoundRobin([one.address for one in apps])
    questions = [list(LAMPS)[n % len(LAMPS)] for n in range(QUESTIONS)]
    asked = []
    try:
        for n, question in enumerate(questions):
            if n == KILLED_AFTER:
                finished = proxy.begun[1] - proxy.open[1]
                second.process.kill()
            asked.append(asyncio.create_task(ask(proxy.url, question)))
            await asyncio.sleep(EVERY)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failed = [at for at, answer in enumerate(answers) if isinstance(answer, BaseException)]
        again = [await ask(proxy.url, questions[at]) for at in failed]
    finally:
        proxy.stop()
    assert [again.pop(0) if at in failed else answer for at, answer in enumerate(answers)] == [
        LAMPS[question] for question in questions
    ]
    assert len(failed) <= proxy.begun[1] - finished
    assert min(proxy.begun) >= KILLED_AFTER // 4
    for at in failed:
        assert isinstance(answers[at], RagAppError)
        assert "repeat" in answers[at].hint


async def test_a_process_that_is_told_to_stop_finishes_its_answer(apps, llm):
    third = apps[2]
    words = " ".join(["The northern lamp flashes twice [1]."] * 5)
    llm.replies = [Reply(words, piece=4, delay=0.06)]
    service = RemoteService(third.address, THE_PASSWORD)
    told, answer = False, None
    try:
        async for event in service.ask("default", next(iter(LAMPS))):
            if isinstance(event, TextDelta) and not told:
                third.process.send_signal(signal.SIGTERM)
                told = True
            if isinstance(event, Answer):
                answer = event
    finally:
        await service.close()
    assert answer is not None
    assert answer.text.count("twice") == 5
    assert await asyncio.to_thread(third.process.wait, 10) == 0
