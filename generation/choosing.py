"""What answers multiple-choice questions: a question and passages go in, one choice comes out."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from llama_index.core.llms import LLM
from llama_index.core.schema import NodeWithScore

from generation.budget import TokenBudget
from generation.multiple_choice import Chosen, choose


@runtime_checkable
class Chooser(Protocol):
    """Chooses one of several answers; with passages or, given none, from what it knows itself."""

    name: str

    @property
    def identity(self) -> dict[str, str | int | float | bool]:
        """All that changes its choices, by name; two with one identity choose alike."""
        ...

    def queries(self, question: str, choices: Sequence[str]) -> list[str]:
        """What passages should be searched with, the question first."""
        ...

    async def choose(
        self, question: str, choices: Sequence[str], passages: Sequence[NodeWithScore] = ()
    ) -> Chosen:
        """Choose.

        Args:
            question: the question without its choices.
            choices: 2 to 26 of them.
            passages: candidates, best first; none means a closed book.

        Raises:
            GenerationError: there is no answer, since a server is down or refuses.
        """
        ...


class LLMChooser:
    """Lets a language model choose; see `generation.multiple_choice.choose`."""

    name = "llm"

    def __init__(
        self, llm: LLM, budget: TokenBudget, temperature: float = 0.0, deadline: float = 120.0
    ) -> None:
        self._llm, self._budget = llm, budget
        self._temperature, self._deadline = temperature, deadline

    @property
    def identity(self) -> dict[str, str | int | float | bool]:
        """See `Chooser.identity`."""
        return {
            "chooser": self.name,
            "model": self._llm.metadata.model_name,
            "temperature": self._temperature,
            "context_window": self._budget.context_window,
            "max_answer_tokens": self._budget.max_answer_tokens,
        }

    def queries(self, question: str, choices: Sequence[str]) -> list[str]:
        """The question with its choices, since often only these name what is asked about."""
        return ["\n".join([question, *choices])]

    async def choose(
        self, question: str, choices: Sequence[str], passages: Sequence[NodeWithScore] = ()
    ) -> Chosen:
        """See `Chooser.choose`."""
        return await choose(
            self._llm, question, choices, passages,
            budget=self._budget, temperature=self._temperature, deadline=self._deadline,
        )  # fmt: skip
