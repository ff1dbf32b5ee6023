"""The reader that lets a language model answer."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import LLM
from llama_index.core.schema import NodeWithScore

from generation.budget import TokenBudget
from generation.citations import Citation, CitationResolver
from generation.errors import GenerationError
from generation.prompts import build_messages, new_tag
from generation.reading import Reading, TextDelta
from generation.server_errors import explain_failure, server_address
from generation.thinking import ThinkingFilter

INCLUDE_USAGE: Final[Mapping[str, Any]] = {"stream_options": {"include_usage": True}}
_LOGGER: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Facts:
    """What the server told about the answer beside its text."""

    model: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    speaks_openai: bool = False
    raw_text: list[str] = field(default_factory=list)

    def note(self, response: ChatResponse) -> None:
        """Take over what a streamed response says; later ones win."""
        raw = response.raw
        self.raw_text.append(response.delta or "")
        usage = getattr(raw, "usage", None)
        prompt, completion = (
            getattr(usage, key, None) for key in ("prompt_tokens", "completion_tokens")
        )
        if isinstance(prompt, int) and isinstance(completion, int):
            self.prompt_tokens, self.completion_tokens = prompt, completion
        choices = getattr(raw, "choices", None)
        if choices:
            self.speaks_openai = True
            self.finish_reason = getattr(choices[0], "finish_reason", None) or self.finish_reason

    @property
    def truncated(self) -> bool:
        """Whether the answer hit its limit, or an OpenAI-style stream ended without saying why."""
        if self.finish_reason is None:
            return self.speaks_openai
        return self.finish_reason == "length"


class LLMReader:
    """Answers from passages, or from the model's own knowledge when there are none.

    Works with any LlamaIndex ``LLM``; meant for ``OpenAILike`` with ``is_chat_model=True``, over
    any server that speaks the OpenAI API. The passages that fit the budget are sent whole, the
    answer is streamed, reasoning blocks are left out of it, and its citations are resolved against
    the passages that were sent.

    The connection is read in a task of its own. When the returned generator is closed, or the
    deadline passes, that task is cancelled, which closes the HTTP stream at once, and the server
    stops computing.

    An ``AsyncOpenAI`` client belongs to one event loop: use a reader from one loop only.

    Args:
        llm: The model. Its retries and connection time-outs are its own settings; the deadline
            holds over them.
        budget: The model's context window and the answer's share of it.
        deadline: Seconds that the whole answer may take, above 0.
        starts_thinking: Whether the model's text begins inside a reasoning block (see
            ``ThinkingFilter``).
        call_arguments: Passed to every ``astream_chat``. By default an OpenAI-style model is asked
            for token usage and given ``budget.max_answer_tokens`` as ``max_tokens``; any other
            gets none.

    Raises:
        ValueError: ``deadline`` is not positive, or the model's own ``max_tokens`` exceeds the
            budget's.
    """

    name = "llm"

    def __init__(
        self,
        llm: LLM,
        budget: TokenBudget,
        *,
        deadline: float = 120.0,
        starts_thinking: bool = False,
        call_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        if deadline <= 0:
            raise ValueError(f"deadline must be positive, got {deadline}")
        own_limit = getattr(llm, "max_tokens", None)
        if isinstance(own_limit, int) and own_limit > budget.max_answer_tokens:
            raise ValueError(
                f"the model's max_tokens is {own_limit}, but the budget keeps only "
                f"{budget.max_answer_tokens} tokens for the answer"
            )
        self._llm = llm
        self._budget = budget
        self._deadline = deadline
        self._starts_thinking = starts_thinking
        if call_arguments is None:
            call_arguments = _default_arguments(llm, budget)
        self._call_arguments = dict(call_arguments)
        self._address = server_address(llm)

    async def read(
        self, question: str, passages: Sequence[NodeWithScore]
    ) -> AsyncGenerator[TextDelta | Reading, None]:
        """Stream the answer and then the ``Reading``; see ``Reader.read``.

        Raises:
            QuestionTooLong: The question does not fit into the context window.
            ReaderUnavailable: The server is down, slow or busy, refuses us, or broke off.
            GenerationError: The server refused the request, no passage fits, or the answer holds
                no text.
        """
        tag = new_tag()
        used = self._fit(question, passages, tag)
        messages = build_messages(question, used, tag=tag)
        facts = _Facts(model=self._llm.metadata.model_name)
        thinking = ThinkingFilter(opened=self._starts_thinking)
        citations = CitationResolver(len(used))
        shown: list[str] = []
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        connection = asyncio.create_task(self._pump(messages, facts, pieces))
        try:
            while (piece := await pieces.get()) is not None:
                if text := citations.feed(thinking.feed(piece)):
                    shown.append(text)
                    yield TextDelta(text)
            await connection
        finally:
            await _cancel(connection)
        if text := citations.feed(thinking.finish()) + citations.finish():
            shown.append(text)
            yield TextDelta(text)
        self._require_text(shown, facts)
        yield self._reading(messages, used, len(passages), facts, citations, "".join(shown))

    def _fit(
        self, question: str, passages: Sequence[NodeWithScore], tag: str
    ) -> list[NodeWithScore]:
        """Apply the budget; passages that all fail to fit are an error, not a closed book."""
        used = self._budget.fit(question, passages, tag=tag)
        if len(used) < len(passages):
            _LOGGER.info("%d of %d passages fit the budget", len(used), len(passages))
        if passages and not used:
            raise GenerationError(
                f"None of the {len(passages)} passages fits beside the question",
                cause=f"the prompt may have {self._budget.prompt_tokens} tokens",
                way_out="Use smaller chunks or a model with a larger context window.",
            )
        return used

    async def _pump(
        self,
        messages: Sequence[ChatMessage],
        facts: _Facts,
        pieces: "asyncio.Queue[str | None]",
    ) -> None:
        """Read the stream into ``pieces``; None ends them, also after an error, which is raised."""
        import httpx
        import openai

        try:
            async with asyncio.timeout(self._deadline):
                stream = await self._llm.astream_chat(messages, **self._call_arguments)
                async for response in stream:
                    facts.note(response)
                    if response.delta:
                        pieces.put_nowait(response.delta)
        except (openai.OpenAIError, httpx.HTTPError, TimeoutError, ValueError) as error:
            explained = explain_failure(error, self._address, facts.model, self._deadline)
            if explained is error:
                raise
            raise explained from error
        finally:
            pieces.put_nowait(None)

    def _require_text(self, shown: Sequence[str], facts: _Facts) -> None:
        """Raise where the model wrote nothing: an error is never an answer."""
        if any(not text.isspace() for text in shown):
            return
        spent = facts.finish_reason == "length"
        raise GenerationError(
            f"{facts.model} at {self._address} wrote no answer",
            cause="its reasoning used up the tokens of the answer"
            if spent
            else "its text is empty",
            way_out=f"Raise the answer's limit of {self._budget.max_answer_tokens} tokens."
            if spent
            else "Ask again or use another model.",
        )

    def _reading(
        self,
        messages: Sequence[ChatMessage],
        used: Sequence[NodeWithScore],
        given: int,
        facts: _Facts,
        citations: CitationResolver,
        text: str,
    ) -> Reading:
        prompt, completion = facts.prompt_tokens, facts.completion_tokens
        if prompt is None or completion is None:
            prompt = self._budget.count_messages(messages)
            completion = self._budget.count_tokens("".join(facts.raw_text))
        return Reading(
            text=text,
            citations=[Citation.of(n, used[n - 1]) for n in citations.cited],
            passages_used=len(used),
            passages_given=given,
            unknown_citations=citations.unknown,
            model=facts.model,
            prompt_tokens=prompt,
            completion_tokens=completion,
            grounded=bool(used),
            truncated=facts.truncated,
        )


def _default_arguments(llm: LLM, budget: TokenBudget) -> dict[str, Any]:
    """Return the call arguments an OpenAI-style model understands, none for another."""
    if "openai" not in llm.class_name().lower():
        return {}
    return {**INCLUDE_USAGE, "max_tokens": budget.max_answer_tokens}


async def _cancel(task: "asyncio.Task[None]") -> None:
    """End ``task`` and wait until it has let go of its connection; its outcome is dropped."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
