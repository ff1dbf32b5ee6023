"""One question, from the text box to a finished turn that is kept."""

import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from data.errors import RagAppError
from generation.reading import TextDelta, ThinkingDelta
from rag_app.accounts.chats.conversation import Turn
from rag_app.results import Answer, AskEvent, SearchResult
from rag_app.service import QueryOptions, Service
from ui.session import Thread
from ui.streaming import coalesced


async def answer(
    service: Service,
    thread: Thread,
    question: str,
    collection: str,
    options: QueryOptions,
    owner: str = "",
    *,
    again: bool = False,
) -> AsyncGenerator[Turn, None]:
    """Ask, and yield the thread's newest turn each time that it has changed.

    Where the last question is asked `again`, its turn is forgotten once the new answer is whole.

    The last one yielded is done, stopped or failed; an expected error is in the turn, not raised.
    Question and answer are kept for `owner`, whatever becomes of whoever listens; where it is empty
    they are not.
    """
    start = time.perf_counter()
    turn = thread.begin(question, collection, again=again)
    turn.also = options.also
    history = thread.history()
    try:
        if owner:
            await _begin(service, thread, turn, owner)
        yield turn
        events = service.ask(collection, question, history, options)
        async with aclosing(coalesced(events, lambda: thread.stopping)) as batches:
            async for batch in batches:
                _apply(turn, batch)
                yield turn
    except RagAppError as error:
        turn.state, turn.error = "failed", str(error)
    finally:
        if turn.state == "running":
            turn.state = "stopped"
        turn.milliseconds = 1000 * (time.perf_counter() - start)
        if thread.id:
            await _finish(service, thread, turn, owner)
        if turn.state == "done" and not thread.unkept:
            await _forget(service, thread, owner)
    yield turn


async def _begin(service: Service, thread: Thread, turn: Turn, owner: str) -> None:
    chats = service.chats
    try:
        thread.id, thread.unkept = await chats.begin(owner, thread.id, turn, thread.model), ""
    except RagAppError as error:  # the question is answered all the same
        thread.id, thread.unkept = "", str(error)


async def _finish(service: Service, thread: Thread, turn: Turn, owner: str) -> None:
    try:
        await service.chats.finish(owner, thread.id, turn)
    except RagAppError as error:
        thread.unkept = str(error)


async def _forget(service: Service, thread: Thread, owner: str) -> None:
    """Drop the turns whose place the newest one has taken."""
    replaced, thread.replaced = thread.replaced, []
    thread.turns = [turn for turn in thread.turns if turn.number not in replaced]
    try:
        for number in replaced if thread.id else ():
            await service.chats.forget(owner, thread.id, number)
    except RagAppError as error:
        thread.unkept = str(error)


def _apply(turn: Turn, events: Iterable[AskEvent]) -> None:
    for event in events:
        match event:
            case SearchResult():
                turn.hits, turn.trace = event.hits, event.trace
            case ThinkingDelta():
                turn.thinking += event.text
                turn.text = "" if event.retracts else turn.text
            case TextDelta():
                turn.text += event.text
            case Answer():
                turn.text, turn.hits, turn.trace = event.text, event.hits, event.trace
                turn.citations, turn.abstained = event.citations, event.abstained
                turn.answerability, turn.state = event.answerability, "done"
