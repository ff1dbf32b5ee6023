"""The application behind OpenAI's API: a model a collection, answers with citations.

Whatever speaks that API can ask us: other programs, and harnesses such as lm-evaluation-harness.
See docs/interoperability.md for what is taken, what is ignored and what is refused.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from llama_index.core.base.llms.types import ChatMessage
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from data.errors import RagAppError
from generation.errors import QuestionTooLong, ReaderUnavailable
from generation.reading import TextDelta, ThinkingDelta
from rag_app.accounts.rights import Forbidden
from rag_app.errors import RerankerUnavailable, UnknownModel
from rag_app.remote import wire
from rag_app.results import Answer, AskEvent, Trace
from rag_app.service import Service, answer_of
from rag_app.web.errors import ERRORS, printable
from rag_app.web.model_api import model_api
from rag_app.web.openai_answers import ChatCompletion, Completion, Model, Models, OpenAIError
from rag_app.web.openai_requests import AnswerRequest, ChatRequest, CompletionRequest
from rag_app.web.stop_sequences import StopSequences
from rag_app.web.streams import ClosingStream
from retrieval.encoders.errors import EncoderUnavailableError
from retrieval.index.errors import BadCollectionName, UnknownCollection

PREFIX: Final = "rag-app/"
"""Begins the names of models that search: the collection's name follows."""
CLOSED_BOOK: Final = "closed-book"
"""The model that answers without searching."""
_AT_ONCE: Final = 4
"""Prompts of one request that are answered at the same time."""
_NO_PASSAGES: Final = "default"
"""Stands for a collection where none is looked at."""


@dataclass(frozen=True)
class _Form:
    """How one of the two kinds of answers is written down."""

    whole: str
    piece: str
    prefix: str
    chat: bool

    def frame(self, model: str, *, streamed: bool) -> dict[str, Any]:
        """What every answer, or every piece of one, begins with."""
        kind = self.piece if streamed else self.whole
        identity = f"{self.prefix}-{uuid.uuid4().hex}"
        return {"id": identity, "object": kind, "created": int(time.time()), "model": model}

    def choice(self, index: int, text: str, answer: Answer) -> dict[str, Any]:
        """One whole answer; `text` is its text as far as the first stop sequence."""
        more = {"citations": _citations(text, answer)}
        fields: dict[str, Any] = {"text": text, **more}
        if self.chat:
            fields = {"message": {"role": "assistant", "content": text, **more}}
        return {"index": index, **fields, "logprobs": None, "finish_reason": _reason(answer)}

    def delta(self, finish: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """The choices of one piece of a stream; plain completions have text alone."""
        if self.chat:
            return [{"index": 0, "delta": fields, "logprobs": None, "finish_reason": finish}]
        fields = {"text": fields.pop("content", ""), **fields}
        return [{"index": 0, **fields, "logprobs": None, "finish_reason": finish}]


_CHAT: Final = _Form("chat.completion", "chat.completion.chunk", "chatcmpl", chat=True)
_COMPLETION: Final = _Form("text_completion", "text_completion", "cmpl", chat=False)


def openai_api(service: Service) -> FastAPI:
    """The routes below `/v1`, with errors in OpenAI's form.

    `rag_app.web.gate` asks for the password where one is set: as the API key, or as basic
    authentication.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, responses=_ERRORS)
    tags: list[str | Enum] = ["OpenAI's and Jina's forms"]
    app.add_exception_handler(RagAppError, _explain)
    app.add_exception_handler(StarletteHTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _correct)
    for router in (_models(service), _answers(service), model_api(service)):
        app.include_router(router, tags=tags)
    return app


def _models(service: Service) -> APIRouter:
    router = APIRouter()

    async def names() -> list[str]:
        usable = [found.name for found in await service.collections() if found.usable]
        encoders = [encoder.name for encoder in await service.encoders()]
        return [*(PREFIX + name for name in usable), CLOSED_BOOK, *encoders]

    @router.get("/models", response_model=Models, summary="The models there are.")
    async def models() -> dict[str, Any]:
        """One for each collection, the language model alone, and the encoders in use."""
        return {"object": "list", "data": [_model(name) for name in await names()]}

    @router.get("/models/{name:path}", response_model=Model, summary="One of the models.")
    async def model(name: str) -> dict[str, Any]:
        """An error of status 404 where there is none of that name."""
        if name not in await names():
            raise _unknown(name)
        return _model(name)

    return router


def _answers(service: Service) -> APIRouter:
    router = APIRouter()

    @router.post(
        "/chat/completions", **_described(ChatCompletion), summary="Answer a conversation."
    )
    async def chat(body: ChatRequest) -> Response:
        """The last message is the question; the model names what is searched."""
        question, history = body.question()
        if body.stream:
            return await _streamed(_CHAT, body, _ask(service, body, question, history))
        return _whole(_CHAT, body, [await answer_of(_ask(service, body, question, history))])

    @router.post("/completions", **_described(Completion), summary="Answer prompts.")
    async def complete(body: CompletionRequest) -> Response:
        """Each prompt is a question of its own."""
        questions = body.questions()
        if body.stream:
            return await _streamed(_COMPLETION, body, _ask(service, body, questions[0]))
        return _whole(_COMPLETION, body, await _read_all(service, body, questions))

    return router


def _described(model: type[BaseModel]) -> dict[str, Any]:
    """What the API's page says of an answer that may be streamed."""
    stream = {"type": "string", "description": "With `stream`: OpenAI's server-sent events."}
    content = {"text/event-stream": {"schema": stream}}
    return {"responses": {200: {"model": model, "content": content}}}


async def _read_all(service: Service, body: AnswerRequest, questions: list[str]) -> list[Answer]:
    """All answers, a few at a time, so that others are answered meanwhile."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def read(question: str) -> Answer:
        async with turn:
            return await answer_of(_ask(service, body, question))

    reading = [asyncio.ensure_future(read(one)) for one in questions]
    try:
        return await asyncio.gather(*reading)
    finally:
        for one in reading:  # where one failed, nobody waits for the others
            one.cancel()


async def _ask(
    service: Service, body: AnswerRequest, question: str, history: Sequence[ChatMessage] = ()
) -> AsyncGenerator[AskEvent, None]:
    """Ask the model that the request names."""
    collection, options = body.model.removeprefix(PREFIX), body.options
    if body.model == CLOSED_BOOK:
        collection, options = _NO_PASSAGES, options.model_copy(update={"retriever": "none"})
    elif collection == body.model:
        raise _unknown(body.model)
    try:
        async with aclosing(service.ask(collection, question, history, options)) as events:
            async for event in events:
                yield event
    except (UnknownCollection, BadCollectionName) as error:
        raise _unknown(PREFIX + error.name) from None


def _whole(form: _Form, body: AnswerRequest, answers: Iterable[Answer]) -> Response:
    choices, usages = [], []
    for index, answer in enumerate(answers):
        stop = StopSequences(body.stops)
        text = stop.feed(answer.text) + stop.finish()
        choices.append(form.choice(index, text, answer))
        usages.append(_usage(answer.trace))
    usage = {name: sum(one[name] for one in usages) for name in usages[0]}
    frame = form.frame(body.model, streamed=False)
    whole = wire.dumped({**frame, "choices": choices, "usage": usage})
    return Response(whole, media_type="application/json")


async def _streamed(
    form: _Form, body: AnswerRequest, events: AsyncGenerator[AskEvent, None]
) -> ClosingStream:
    """The answer as it comes; what fails before passages are found is still an error status."""
    await anext(events)

    async def sent() -> AsyncGenerator[bytes, None]:
        try:
            async for piece in _pieces(form, body, events):
                yield b"data: " + wire.dumped(piece) + b"\n\n"
        except RagAppError as error:
            yield b"data: " + wire.dumped(_error(error)[1]) + b"\n\n"
        else:
            yield b"data: [DONE]\n\n"

    return ClosingStream(sent(), events, "text/event-stream")


async def _pieces(
    form: _Form, body: AnswerRequest, events: AsyncGenerator[AskEvent, None]
) -> AsyncGenerator[dict[str, Any], None]:
    frame = form.frame(body.model, streamed=True)
    stop, shown = StopSequences(body.stops), ""
    if form.chat:
        yield {**frame, "choices": form.delta(role="assistant", content="")}
    async for event in events:
        match event:
            case ThinkingDelta():
                if event.retracts:
                    # The API takes no text back: what was said becomes a paragraph of its own, and
                    # the answer, its stop sequences and its citations begin behind it.
                    stop, shown = StopSequences(body.stops), ""
                    yield {**frame, "choices": form.delta(content="\n\n")}
                if form.chat:
                    yield {**frame, "choices": form.delta(reasoning_content=event.text)}
            case TextDelta():
                if text := stop.feed(event.text):
                    shown += text
                    yield {**frame, "choices": form.delta(content=text)}
            case Answer():
                for piece in _ending(form, body, event, shown, stop.finish()):
                    yield {**frame, **piece}


def _ending(
    form: _Form, body: AnswerRequest, answer: Answer, shown: str, rest: str
) -> Iterator[dict[str, Any]]:
    """The pieces that end an answer of which `shown` has been sent and `rest` was held back."""
    if rest:
        yield {"choices": form.delta(content=rest)}
    yield {"choices": form.delta(_reason(answer), citations=_citations(shown + rest, answer))}
    if body.with_usage:
        yield {"choices": [], "usage": _usage(answer.trace)}


def _citations(text: str, answer: Answer) -> list[dict[str, Any]]:
    """The citations whose `[n]` stands in the text."""
    return [asdict(one) for one in answer.citations if f"[{one.n}]" in text]


def _reason(answer: Answer) -> str:
    return "length" if answer.truncated else "stop"


def _usage(trace: Trace) -> dict[str, int]:
    """Tokens of all language models that took part, not of the reader alone."""
    read = sum(stage.get("prompt_tokens", 0) for stage in trace.stages)
    written = sum(stage.get("completion_tokens", 0) for stage in trace.stages)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "rag-app"}


def _unknown(name: str) -> UnknownModel:
    return UnknownModel(
        f"the model {name!r} does not exist",
        hint=f"{PREFIX}COLLECTION asks a collection, {CLOSED_BOOK} the language model alone;"
        " GET /v1/models lists them",
    )


_MEANINGS: Final[tuple[tuple[tuple[type[Exception], ...], int, str | None], ...]] = (
    ((UnknownModel,), HTTPStatus.NOT_FOUND, "model_not_found"),
    ((Forbidden,), HTTPStatus.FORBIDDEN, None),
    ((QuestionTooLong,), HTTPStatus.BAD_REQUEST, "context_length_exceeded"),
    (
        (ReaderUnavailable, EncoderUnavailableError, RerankerUnavailable),
        HTTPStatus.SERVICE_UNAVAILABLE,
        None,
    ),
)


def _error(error: Exception) -> tuple[int, dict[str, Any]]:
    """An expected error as status and body; clients try those from 500 on again."""
    found = (meaning for meaning in _MEANINGS if isinstance(error, meaning[0]))
    _, status, code = next(found, ((), HTTPStatus.BAD_REQUEST, None))
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return status, _body(str(error), kind, code)


def _body(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    error = {"message": printable(message), "type": kind, "param": None, "code": code}
    return {"error": error}


_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    code: {**described, "model": OpenAIError} for code, described in ERRORS.items()
}


async def _explain(_: Request, error: Exception) -> JSONResponse:
    status, body = _error(error)
    return JSONResponse(body, status_code=status)


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - registered for these alone
    body = _body(str(error.detail), "invalid_request_error")
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def _correct(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these alone
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"][1:]))
    body = _body(printable(f"{field}: {first['msg']}"), "invalid_request_error")
    body["error"]["param"] = printable(field)
    return JSONResponse(body, status_code=400)
