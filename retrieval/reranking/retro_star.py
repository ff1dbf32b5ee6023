"""Retro*: a model that reasons about one passage by a rubric, and gives it 0 to 100 points.

Decoding, parsing and averaging follow https://github.com/VectorSpaceLab/agentic-search
(Retro-star/evaluation/bright) for its models ``ljw13/retro-star-*``; the paper: https://arxiv.org/
abs/2509.24869. The prompt has the same parts in words of our own. Who may use the published one,
which the models were trained with, gives it as `template`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import LLM

from data.arguments import at_least
from retrieval.llm_calls import answer
from retrieval.published import STACK_EXCHANGE
from retrieval.reranking.pointwise import Graded, Grading, PointwiseReranker

_BEST: Final = 100
_POINTS: Final = re.compile(r"<score>\s*(\d+)\s*</score>")
_FIELD: Final = re.compile(r"\{(definition|query|document)\}")
_TEMPERATURE: Final = 0.6
_BODY: Final[Mapping[str, Any]] = {
    "top_k": 40,
    "chat_template_kwargs": {"enable_thinking": False},  # it reasons in the answer itself
}

_PROBLEM: Final = (
    "The query is a mathematics problem, and the document is a solved one. The document is "
    "relevant if a theorem that it uses gives an insight that helps to solve the query."
)
DEFINITIONS: Final[Mapping[str, str]] = {
    "general": (
        "The query is a question that somebody asks, and the document is a passage. The document "
        "is relevant if the main concepts or theories that it discusses are something that an "
        "expert could refer to in drafting an answer."
    ),
    "leetcode": (
        "The query is a coding problem, and the document is the solution of one. The document is "
        "relevant if the algorithms or data structures behind it give an insight that helps to "
        "solve the query."
    ),
    "pony": (
        "The query is a task to be programmed in the language Pony, and the document is a passage "
        "of its manual. The document is relevant if somebody who has never seen Pony needs the "
        "syntax that it describes in order to do the task."
    ),
    "aops": _PROBLEM,
    "theoremqa_questions": _PROBLEM,
    "theoremqa_theorems": (
        "The query is a mathematics problem, and the document is a passage about mathematics. The "
        "document is relevant if the theorem that it describes can help to solve the query."
    ),
}
"""What counts as relevant in BRIGHT's tasks, as these models are told it, in our own words."""

PROMPT: Final = """\
In this retrieval task relevance is defined as follows. {definition}

Judge how relevant one document is to one query, in these steps:

1. The query: reason about it, and describe which information would help most in answering it.
2. The document: discuss in how far what it says meets what the query needs, and where it fails to.
3. The verdict: by the definition and what the first two steps found, justify a final judgement \
and put it as a whole number from 0 to 100:
   - 80-100, highly relevant: it addresses what the query is after directly and in full, as a core \
and authoritative answer would.
   - 60-80, relevant: it addresses most of what the query is after, and lacks minor details at most.
   - 40-60, moderately relevant: it is on the topic and addresses a part of the query, but is no \
comprehensive answer.
   - 20-40, slightly relevant: it mentions terms of the query, but is mainly about something else \
and is of little value.
   - 0-20, irrelevant: it does not address the query at all, and is off the topic.

Write out all of these steps. End your response with the number between score tags, and with \
nothing else between them:
<score>
NUMBER
</score>

Query:
[Begin of Query]
{query}
[End of Query]

Document:
[Begin of Document]
{document}
[End of Document]
"""


class RetroStarReranker(PointwiseReranker):
    """Samples reasoned verdicts on a passage, and takes the mean of their points.

    A verdict without points counts as 0, as published; more than 100 points count as 100.

    Args:
        llm: a chat client of vLLM, or of what else takes ``top_k`` and ``chat_template_kwargs``.
        definition: what counts as relevant: a task of BRIGHT, or a text; see `DEFINITIONS`.
        template: a whole prompt in place of ours; ``{query}``, ``{document}`` and, where it is
            there, ``{definition}`` are replaced.
        samples: verdicts on a passage, of one call; numbers for 1 and for 16 are published.
        reasoning_tokens: most tokens of a verdict.
        grading: see `PointwiseReranker`.

    Raises:
        ValueError: an argument is out of its range, a field is missing in the template, or `llm` is
            no chat model.
    """

    name: ClassVar[str] = "retro-star"
    # the weight is published, and so is a prompt of 28,544 tokens in all
    default_grading: ClassVar[Grading] = Grading(weight=1.0, passage_tokens=24_000, deadline=300.0)
    _llm: LLM = PrivateAttr()
    _definition: str = PrivateAttr()
    _template: str = PrivateAttr()
    _body: Mapping[str, Any] = PrivateAttr()
    _arguments: Mapping[str, Any] = PrivateAttr()

    def __init__(
        self,
        llm: LLM,
        *,
        definition: str = "",
        template: str = "",
        samples: int = 1,
        reasoning_tokens: int = 4096,
        grading: Grading = default_grading,
    ) -> None:
        super().__init__(grading)
        if not llm.metadata.is_chat_model:
            raise ValueError("retro-star needs a chat model: one with is_chat_model=True")
        at_least(1, samples=samples, reasoning_tokens=reasoning_tokens)
        self._llm, self._definition = llm, meaning(definition)
        self._template = template or PROMPT
        for field in ("{query}", "{document}"):
            if field not in self._template:
                raise ValueError(f"the template lacks {field}")
        self._arguments = {"temperature": _TEMPERATURE, "n": samples}
        self._body = {**_BODY, "max_tokens": reasoning_tokens}

    async def _grade(self, query: str, passages: Sequence[str]) -> list[Graded]:
        (document,) = passages
        fields = {"definition": self._definition, "query": query, "document": document}
        asked = _FIELD.sub(lambda found: fields[found[1]], self._template)
        message = ChatMessage(role=MessageRole.USER, content=asked)
        call = self._llm.achat([message], **self._arguments, extra_body=dict(self._body))
        return [mean_of(_verdicts(await answer(call)))]


def meaning(definition: str) -> str:
    """What a definition says: a task of BRIGHT, or a text of one's own; empty is ``general``."""
    given = definition.strip()
    name = "general" if given in ("", *STACK_EXCHANGE) else given
    return DEFINITIONS.get(name, given)


def points(verdict: str) -> int | None:
    """The whole number between the first pair of score tags, 100 at most; None without one."""
    found = _POINTS.search(verdict)
    return min(int(found[1]), _BEST) if found else None


def mean_of(verdicts: Sequence[str]) -> Graded:
    """The mean points of verdicts, over 100; those without count as 0.

    Returns:
        Status ``missing`` where none of them has points.
    """
    found = [points(verdict) for verdict in verdicts]
    mean = sum(each or 0 for each in found) / len(found)
    return Graded(mean / _BEST, "missing" if set(found) == {None} else "ok")


def _verdicts(response: ChatResponse) -> list[str]:
    """All that the model wrote; LlamaIndex itself shows the first of several answers only."""
    choices = getattr(response.raw, "choices", None) or []
    messages = [getattr(choice, "message", None) for choice in choices] or [response.message]
    return [getattr(message, "content", None) or "" for message in messages]
