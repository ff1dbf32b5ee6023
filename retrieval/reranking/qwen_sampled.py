"""QwenRerank as published with ReasonIR: a sampled grade, and the published way to read it.

Source of decoding, parsing and interpolation: https://github.com/facebookresearch/ReasonIR,
evaluation/bright/reranker.py. Its prompts are licensed for non-commercial use only and are not
repeated here: `prompt` has the same parts, fields, markers and scale in our own words. Who may use
the published ones gives one as `template`, for a reproduction to the letter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import LLM

from retrieval.llm_calls import answer
from retrieval.reranking.definitions import relevance
from retrieval.reranking.pointwise import Graded, Grading, PointwiseReranker

MARKER: Final = "Relevance score:"
_READ: Final = 2  # characters behind the marker
_BEST: Final = 5
_SAMPLED: Final[Mapping[str, Any]] = {"temperature": 0.6, "top_p": 0.9}
_LENGTH: Final[Mapping[str, Any]] = {"max_tokens": 32}
"""In the body of the request, as a client's own limit would go before that of a call."""


class QwenSampledReranker(PointwiseReranker):
    """Samples ``Relevance score: X.`` from a raw completion, without a chat template.

    The final score is 0.5 x grade + 0.5 x the retriever's own score, not normalised. Passages are
    given whole; one that is too long for the server has no grade.

    Args:
        completions: a client of ``/v1/completions``: `OpenAILike` with ``is_chat_model=False``.
        definition: what counts as relevant: a name of `retrieval.reranking.definitions`, or a text.
        template: a whole prompt in place of ours; ``{query}`` and ``{document}`` are replaced.
        grading: its concurrency and deadline count, the rest is as published.

    Raises:
        ValueError: an argument is out of its range, a field is missing in the template, or
            `completions` is a chat model.
    """

    name: ClassVar[str] = "qwen-sampled"
    default_grading: ClassVar[Grading] = Grading(normalise="none")
    _llm: LLM = PrivateAttr()
    _template: str = PrivateAttr()

    def __init__(
        self,
        completions: LLM,
        *,
        definition: str = "",
        template: str = "",
        grading: Grading = default_grading,
    ) -> None:
        # Weight and whole passages are part of the published way.
        super().__init__(
            replace(
                self.default_grading, concurrency=grading.concurrency, deadline=grading.deadline
            )
        )
        if completions.metadata.is_chat_model:
            raise ValueError("qwen-sampled needs raw completions: a model with is_chat_model=False")
        self._llm, self._template = completions, template or prompt(relevance(definition))
        for field in ("{query}", "{document}"):
            if field not in self._template:
                raise ValueError(f"the template lacks {field}")

    async def _grade(self, query: str, passages: Sequence[str]) -> list[Graded]:
        (document,) = passages
        asked = filled(self._template, query, document)
        call = self._llm.acomplete(asked, formatted=True, **_SAMPLED, extra_body=dict(_LENGTH))
        return [published_grade((await answer(call)).text)]


def prompt(definition: str) -> str:
    """Our template: definition, form and scale of the answer, query, document, and nothing after.

    The definition's braces stay as they are: only the two fields are replaced.
    """
    return (
        f"{definition}\n\nIs the document below relevant to the query below? Answer in the form "
        f"'{MARKER} X.', where X is a number from 0 to 5: 0 means completely irrelevant, 5 means "
        "highly relevant and a complete answer to the query. Write nothing else.\n\n"
        "<start_query>\n{query}\n<end_query>\n\n<start_document>\n{document}\n<end_document>\n"
    )


def filled(template: str, query: str, document: str) -> str:
    """The template with its two fields, wherever they are, replaced at once."""
    halves = (part.replace("{query}", query) for part in template.split("{document}"))
    return document.join(halves)


def published_grade(output: str) -> Graded:
    """The published rule: what follows the last marker, two characters, as a number, over 5.

    No marker gives 0 (status ``missing``), no number -1 (``wrong_format``), and both count as
    grades. So ``4.5`` is 0.8 and ``10`` is 0.2.
    """
    at = output.rfind(MARKER)
    if at < 0:
        return Graded(0.0, "missing")
    start = at + len(MARKER)
    try:
        return Graded(float(output[start : start + _READ]) / _BEST, "ok")
    except ValueError:
        return Graded(-1.0, "wrong_format")
