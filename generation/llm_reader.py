"""The reader that lets a language model answer."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import LLM
from llama_index.core.schema import NodeWithScore

from data.arguments import above_zero
from data.thinking import ThinkingFilter
from generation.abstention import ABSTAINED, AbstentionFilter
from generation.answerability import answerability
from generation.budget import BuildMessages, TokenBudget
from generation.citations import Citation, CitationResolver
from generation.coverage import citation_coverage
from generation.errors import GenerationError
from generation.evidence import EvidenceFinder
from generation.marking import find_quotes
from generation.prompts import Numbered, build_messages, format_turns, new_tag
from generation.reading import Reading, ReadingEvent, TextDelta, ThinkingDelta
from generation.server_errors import explain_failure, server_address

INCLUDE_USAGE: Final[Mapping[str, Any]] = {"stream_options": {"include_usage": True}}
_CHARACTERS_PER_TOKEN: Final = 24
"""More than any tokeniser reaches over a whole answer; what exceeds it is cut."""
_PASSAGES_WEIGHED: Final = 8
"""As many as the weights of `generation.answerability` were fitted with."""
_TURNS: Final = 6
_SHARE_OF_TURNS: Final = 0.25
"""Most of the prompt that what was said before may take; the passages have the rest."""
_LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of the stream, as the server divides it into thoughts and text."""

    thought: str
    text: str


@dataclass(slots=True)
class _Facts:
    """What the server told about the answer beside its text."""

    model: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    thinking_tokens: int | None = None
    finish_reason: str | None = None
    speaks_openai: bool = False
    raw_text: list[str] = field(default_factory=list)

    def note(self, response: ChatResponse) -> None:
        """Take over what a streamed response says; later ones win."""
        raw = response.raw
        usage = getattr(raw, "usage", None)
        prompt, completion = (
            getattr(usage, key, None) for key in ("prompt_tokens", "completion_tokens")
        )
        if isinstance(prompt, int) and isinstance(completion, int):
            self.prompt_tokens, self.completion_tokens = prompt, completion
            details = getattr(usage, "completion_tokens_details", None)
            self.thinking_tokens = getattr(details, "reasoning_tokens", None)
        choices = getattr(raw, "choices", None)
        if choices:
            self.speaks_openai = True
            self.finish_reason = getattr(choices[0], "finish_reason", None) or self.finish_reason

    @property
    def truncated(self) -> bool:
        """Whether the answer was cut off, or an OpenAI-style stream ended without saying why."""
        if self.finish_reason is None:
            return self.speaks_openai
        return self.finish_reason in {"length", "content_filter"}


class LLMReader:
    """Answers from passages, or from the model's own knowledge when there are none.

    Works with any LlamaIndex ``LLM``; meant for ``OpenAILike`` with ``is_chat_model=True``, over
    any server that speaks the OpenAI API. The passages that fit the budget are sent whole and once,
    after the last turns of the conversation, which help to understand the question. The answer is
    streamed, and its citations are resolved against the passages that were sent. What the model
    thinks aloud, inside ``<think>`` or in the server's field for it, comes beside the answer. Where
    the chat template opens that block itself, the first answer shows it: what was streamed up to
    the closing mark is taken back (``ThinkingDelta.retracts``), and the reader knows from then on.
    Where the model finds no answer in the passages, it says so in a line that is recognised and not
    shown.

    The connection is read in a task of its own. When the returned generator is closed, or the
    deadline passes, that task is cancelled, which closes the HTTP stream at once, and the server
    stops computing.

    An ``AsyncOpenAI`` client belongs to one event loop: use a reader from one loop only.

    Args:
        llm: The model. Its retries and connection time-outs are its own settings; the deadline
            holds over them.
        budget: The model's context window and the answer's share of it.
        deadline: Seconds that the whole answer may take, above 0.
        finder: Estimates whether the passages hold an answer, and finds the sentences that the
            answer rests on; without one, citations mark whole passages.
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
        finder: EvidenceFinder | None = None,
        call_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        above_zero(deadline=deadline)
        model_limit = getattr(llm, "max_tokens", None)
        if isinstance(model_limit, int) and model_limit > budget.max_answer_tokens:
            raise ValueError(
                f"the model's max_tokens is {model_limit}, but the budget keeps only "
                f"{budget.max_answer_tokens} tokens for the answer"
            )
        self._llm = llm
        self._budget = budget
        self._deadline = deadline
        self._starts_thinking = False
        self._finder = finder
        if call_arguments is None:
            call_arguments = _default_arguments(llm, budget)
        self._call_arguments = dict(call_arguments)
        self._address = server_address(llm)

    async def read(
        self,
        question: str,
        passages: Sequence[NodeWithScore],
        history: Sequence[ChatMessage] = (),
    ) -> AsyncGenerator[ReadingEvent, None]:
        """Stream the answer and then the ``Reading``; see ``Reader.read``.

        Raises:
            QuestionTooLong: The question does not fit into the context window.
            ReaderUnavailable: The server is down, slow or busy, refuses us, or broke off.
            GenerationError: The server refused the request, no passage fits, or the answer holds
                no text.
        """
        tag = new_tag()
        build = partial(build_messages, tag=tag, turns=self._turns(history))
        used = self._fit(question, passages, tag, build)
        messages = build(question, used)
        facts = _Facts(model=self._llm.metadata.model_name)
        parser = _Parser(used, thinks=self._starts_thinking)
        pieces: asyncio.Queue[_Piece | None] = asyncio.Queue()
        connection = asyncio.create_task(self._pump(messages, facts, pieces))
        try:
            while (piece := await pieces.get()) is not None:
                for event in parser.feed(piece):
                    yield event
            await connection
        finally:
            await _cancel(connection)
        for event in parser.finish(truncated=facts.truncated):
            yield event
        self._starts_thinking = parser.began_inside
        if not parser.text.strip():
            raise self._no_answer(facts)
        reading = self._reading(messages, used, len(passages), facts, parser)
        yield await asyncio.to_thread(self._with_evidence, reading, question, used)

    def _turns(self, history: Sequence[ChatMessage]) -> list[str]:
        """The last turns of the conversation, within their share of the prompt."""
        turns = format_turns(history, _TURNS)
        room = self._budget.prompt_tokens * _SHARE_OF_TURNS
        while sum(map(self._budget.count_tokens, turns)) > room:
            turns = turns[1:]
        return turns

    def _fit(
        self,
        question: str,
        passages: Sequence[NodeWithScore],
        tag: str,
        build: BuildMessages,
    ) -> dict[int, NodeWithScore]:
        """Apply the budget; passages that all fail to fit are an error, not a closed book."""
        used = self._budget.fit(question, passages, tag=tag, build=build)
        if len(used) < len(passages):
            _LOGGER.info("%d of %d passages fit the budget and are new", len(used), len(passages))
        if passages and not used:
            raise GenerationError(
                f"None of the {len(passages)} passages fits beside the question",
                cause=f"the prompt may have {self._budget.prompt_tokens} tokens",
                hint="Use smaller passages or a model with a larger context window.",
            )
        return used

    async def _pump(
        self,
        messages: Sequence[ChatMessage],
        facts: _Facts,
        pieces: "asyncio.Queue[_Piece | None]",
    ) -> None:
        """Read the stream into ``pieces``; None ends them, also after an error, which is raised."""
        import httpx
        import openai

        room = self._budget.max_answer_tokens * _CHARACTERS_PER_TOKEN
        try:
            async with asyncio.timeout(self._deadline):
                stream = await self._llm.astream_chat(messages, **self._call_arguments)
                async for response in stream:
                    facts.note(response)
                    thought = (response.additional_kwargs.get("thinking_delta") or "")[:room]
                    room -= len(thought)
                    text = (response.delta or "")[:room]
                    room -= len(text)
                    facts.raw_text += [thought, text]
                    if thought or text:
                        pieces.put_nowait(_Piece(thought, text))
                    if room <= 0:  # the server does not keep to the limit that it was given
                        facts.finish_reason = "length"
                        break
        except (openai.OpenAIError, httpx.HTTPError, TimeoutError, ValueError) as error:
            explained = explain_failure(error, self._address, facts.model, self._deadline)
            if explained is error:
                raise
            raise explained from error
        finally:
            pieces.put_nowait(None)

    def _with_evidence(self, reading: Reading, question: str, used: Numbered) -> Reading:
        """Add which sentences are cited, and how likely the passages hold an answer at all."""
        if self._finder is None or not used:
            return reading
        spans = find_quotes(reading.text, used, self._finder.terms)
        citations = [Citation.of(c.n, used[c.n], spans.get(c.n, ())) for c in reading.citations]
        evidence = self._finder.find(question, list(used.values())[:_PASSAGES_WEIGHED])
        return replace(reading, citations=citations, answerability=answerability(evidence))

    def _no_answer(self, facts: _Facts) -> GenerationError:
        """The error of a model that wrote nothing, since an error is never an answer."""
        hint = "Ask again or use another model."
        match facts.finish_reason:
            case "length":
                cause = "its reasoning used up the tokens of the answer"
                hint = f"Raise the answer's limit of {self._budget.max_answer_tokens} tokens."
            case "content_filter":
                cause = "its server held the answer back (content filter)"
            case "tool_calls" | "function_call":
                cause = "it called a tool, of which it was given none"
            case _:
                cause = "its text is empty"
        return GenerationError(
            f"{facts.model} at {self._address} wrote no answer", cause=cause, hint=hint
        )

    def _reading(
        self,
        messages: Sequence[ChatMessage],
        used: Numbered,
        given: int,
        facts: _Facts,
        parser: "_Parser",
    ) -> Reading:
        count = self._budget.count_tokens
        prompt, completion = facts.prompt_tokens, facts.completion_tokens
        if prompt is None or completion is None:
            prompt = self._budget.count_messages(messages)
            completion = count("".join(facts.raw_text))
        thinking = facts.thinking_tokens
        if thinking is None:  # few servers tell
            thinking = min(count(parser.thoughts), completion)
        return Reading(
            text=parser.text,
            citations=[Citation.of(n, used[n]) for n in parser.cited],
            passages_used=len(used),
            passages_given=given,
            unknown_citations=parser.unknown,
            model=facts.model,
            prompt_tokens=prompt,
            completion_tokens=completion,
            grounded=bool(used),
            truncated=facts.truncated,
            thinking_tokens=thinking,
            coverage=citation_coverage(parser.text) if used and not parser.abstained else None,
            abstained=parser.abstained,
            used=tuple(used),
        )


class _Parser:
    """Divides what the model writes into thoughts and answer, and reads the answer's marks.

    Attributes:
        text: The answer so far.
        thoughts: The thoughts so far.
    """

    def __init__(self, used: Numbered, *, thinks: bool) -> None:
        self.thoughts = self._unclosed = ""
        self._thinking = ThinkingFilter(opened=thinks)
        self._used = used
        self._begin()

    def _begin(self) -> None:
        """Nothing has been said yet."""
        self.text = ""
        self._abstention = AbstentionFilter() if self._used else None
        self._citations = CitationResolver(self._used)

    @property
    def began_inside(self) -> bool:
        """Whether the text began with thoughts that it does not open itself."""
        return self._thinking.began_inside

    @property
    def cited(self) -> Sequence[int]:
        """The cited passages' numbers, in the order of their first use."""
        return self._citations.cited

    @property
    def unknown(self) -> int:
        """How many citations were of no passage."""
        return self._citations.unknown

    @property
    def abstained(self) -> bool:
        """Whether the model found no answer in the passages."""
        return self._abstention is not None and self._abstention.abstained

    def feed(self, piece: _Piece) -> Iterator[ReadingEvent]:
        """Yield what is certain by now."""
        text = self._thinking.feed(piece.text)
        yield from self._thought(piece.thought)
        if self._abstention is not None:
            text = self._abstention.feed(text)
        yield from self._text_events(self._citations.feed(text))

    def finish(self, *, truncated: bool) -> Iterator[ReadingEvent]:
        """Yield what was held back, and a sentence of ours for a model that said no more.

        A model that was taken to begin with thoughts, and came to its end without closing them,
        had none: all that it wrote is the answer.
        """
        text = self._thinking.finish()
        if self.began_inside and not self._thinking.marked and not truncated:
            text, self.thoughts = self._unclosed + self._thinking.thought(), ""
            self._thinking.began_inside = False
        yield from self._thought()
        if self._abstention is not None:
            text = self._abstention.feed(text) + self._abstention.finish()
        text = self._citations.feed(text) + self._citations.finish()
        if self.abstained and not (self.text + text).strip():
            text = ABSTAINED
        yield from self._text_events(text)

    def _thought(self, thought: str = "") -> Iterator[ReadingEvent]:
        """Thoughts, among them what was said before it turned out to be one."""
        marked = self._thinking.thought()
        self._unclosed += marked
        thought += marked
        self.thoughts += thought
        if retracts := self._thinking.retracted():
            self._begin()
        if thought:
            yield ThinkingDelta(thought, retracts)

    def _text_events(self, text: str) -> Iterator[ReadingEvent]:
        self.text += text
        if text:
            yield TextDelta(text)


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
