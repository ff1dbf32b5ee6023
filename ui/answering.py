"""One question, from the text box to a finished turn."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from data.errors import RagAppError
from generation.reading import TextDelta, ThinkingDelta
from rag_app.results import Answer, AskEvent, SearchResult
from rag_app.service import QueryOptions, Service
from ui.session import Session, Turn
from ui.streaming import coalesced


async def answer(
    service: Service, session: Session, question: str, collection: str, options: QueryOptions
) -> AsyncGenerator[Turn, None]:
    """Ask, and yield the session's newest turn each time that it has changed.

    The last one yielded is done, stopped or failed; an expected error is in the turn, not raised.
    """
    history = session.history()
    turn = session.begin(question, collection)
    yield turn
    try:
        events = service.ask(collection, question, history, options)
        async with aclosing(coalesced(events, lambda: session.stopping)) as batches:
            async for batch in batches:
                _apply(turn, batch)
                yield turn
    except RagAppError as error:
        turn.state, turn.error = "failed", str(error)
    finally:
        if turn.state == "running":
            turn.state = "stopped"
    yield turn


def _apply(turn: Turn, events: Iterable[AskEvent]) -> None:
    for event in events:
        match event:
            case SearchResult():
                turn.hits, turn.trace = event.hits, event.trace
            case ThinkingDelta():
                turn.thinking += event.text
            case TextDelta():
                turn.text += event.text
            case Answer():
                turn.text, turn.hits, turn.trace = event.text, event.hits, event.trace
                turn.citations, turn.abstained = event.citations, event.abstained
                turn.answerability, turn.state = event.answerability, "done"
