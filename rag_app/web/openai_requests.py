"""Requests of OpenAI's API: what of them is understood, and what is refused.

Sampling (`temperature`, `max_tokens` ...) is checked and then ignored: the application's settings
say how its models are asked.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from pydantic import BaseModel, Field

from rag_app.errors import ApplicationError
from rag_app.service import QueryOptions

_MOST_PROMPTS: Final = 128
_MOST_CHARACTERS: Final = 400_000
"""Of all texts of a request, about 100,000 tokens."""
_MOST_STOPS: Final = 16
_NO_LIKELIHOOD: Final = (
    "An answer comes out of a whole pipeline, which has no likelihood. Use tasks that let the model"
    " write (output_type generate_until), not those that compare likelihoods (multiple_choice)"
)
_WHY: Final = {
    "logprobs": _NO_LIKELIHOOD,
    "echo": _NO_LIKELIHOOD,
    "n": "Ask several times",
    "tools": "The application searches by itself",
    "response_format": "Answers are text",
}


class Refused(ApplicationError):
    """A request for something that is not offered here."""


class _Part(BaseModel):
    type: str
    text: str = ""


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None

    def text(self) -> str:
        """What was said. Raises Refused for pictures and sounds."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        other = {part.type for part in self.content} - {"text"}
        if other:
            raise Refused(f"message parts of type {', '.join(sorted(other))} cannot be read")
        return "\n".join(part.text for part in self.content)


class _StreamOptions(BaseModel):
    include_usage: bool = False


class AnswerRequest(BaseModel):
    """What both kinds of requests have in common; fields that are not named here are ignored."""

    model: str = Field(max_length=200)
    stream: bool = False
    stream_options: _StreamOptions | None = None
    stop: str | Annotated[list[str], Field(max_length=_MOST_STOPS)] | None = None
    n: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    options: QueryOptions = QueryOptions()

    @property
    def stops(self) -> list[str]:
        """The stop sequences."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with the tokens used."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def require_length(self, texts: Iterable[str]) -> None:
        """Raise Refused where all texts together are too long."""
        if sum(map(len, texts)) > _MOST_CHARACTERS:
            raise Refused(
                "the request is too long",
                cause=f"it has more than {_MOST_CHARACTERS:,} characters of text",
                hint="Send less at once",
            )

    def refuse(self, **unwanted: object) -> None:
        """Raise Refused for the first of these that is asked for."""
        for name, value in {"n": (self.n or 1) > 1, **unwanted}.items():
            if value:
                raise Refused(f"`{name}` is not offered here", hint=_WHY.get(name, ""))


class ChatRequest(AnswerRequest):
    """A conversation whose last turn is the question."""

    messages: list[_Message] = Field(max_length=1000)
    logprobs: bool | None = None
    tools: list[Any] | None = None
    response_format: dict[str, Any] | None = None

    def question(self) -> tuple[str, list[ChatMessage]]:
        """The question and the turns before it, without those of the system.

        Raises:
            Refused: the last turn is not the user's, or something that is not offered is asked for.
        """
        wants_form = (self.response_format or {}).get("type", "text") != "text"
        self.refuse(logprobs=self.logprobs, tools=self.tools, response_format=wants_form)
        self.require_length(turn.text() for turn in self.messages)
        turns = [turn for turn in self.messages if turn.role in {"user", "assistant"}]
        if not turns or self.messages[-1].role != "user":
            raise Refused("the last message has to be the user's: it is the question")
        history = [ChatMessage(role=MessageRole(t.role), content=t.text()) for t in turns[:-1]]
        return turns[-1].text(), history


class CompletionRequest(AnswerRequest):
    """One question or several, as plain prompts."""

    prompt: str | list[str] | list[int] | list[list[int]]
    logprobs: int | None = None
    echo: bool = False
    suffix: str | None = None
    best_of: int | None = Field(None, ge=1)

    def questions(self) -> list[str]:
        """The questions. Raises Refused for tokens, and for what is not offered."""
        scored = self.logprobs is not None
        several = (self.best_of or 1) > 1
        self.refuse(logprobs=scored, echo=self.echo, suffix=self.suffix, best_of=several)
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        texts = [prompt for prompt in prompts if isinstance(prompt, str)]
        if not texts or len(texts) < len(prompts):
            raise Refused(
                "prompts have to be text, not tokens: a pipeline has no tokenizer of its own",
                hint="lm-evaluation-harness: --model_args tokenized_requests=False",
            )
        if len(texts) > _MOST_PROMPTS:
            raise Refused(
                f"more than {_MOST_PROMPTS} prompts", hint="Send them in several requests"
            )
        self.require_length(texts)
        if self.stream and len(texts) > 1:
            raise Refused("several prompts cannot be streamed", hint="Send them one by one")
        return texts
