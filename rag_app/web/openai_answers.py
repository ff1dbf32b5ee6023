"""The forms of OpenAI's answers, for the description of the API; ours have `citations` beside."""

from typing import Literal

from pydantic import BaseModel, Field

from generation.citations import Citation


class Model(BaseModel):
    """A collection as a model, the language model alone, or an encoder."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(BaseModel):
    """All models."""

    object: Literal["list"]
    data: list[Model]


class Usage(BaseModel):
    """Tokens of all language models that took part."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(BaseModel):
    """What the assistant says."""

    role: Literal["assistant"]
    content: str
    citations: list[Citation] = Field(description="Of each `[n]` in the content.")


class ChatChoice(BaseModel):
    """The one answer."""

    index: int
    message: AssistantMessage
    logprobs: None
    finish_reason: Literal["stop", "length"]


class ChatCompletion(BaseModel):
    """An answer of a conversation."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class TextChoice(BaseModel):
    """The answer of one prompt."""

    index: int
    text: str
    citations: list[Citation]
    logprobs: None
    finish_reason: Literal["stop", "length"]


class Completion(BaseModel):
    """Answers of prompts."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """The body of every error below /v1."""

    error: ErrorDetail
