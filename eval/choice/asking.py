"""One question in one arm: passages, the chooser's answer, the sample."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from llama_index.core.schema import NodeWithScore

from data.errors import RagAppError
from eval.choice.arms import Arm
from eval.choice.contamination import shares_ngram
from eval.choice.finding import Finder
from eval.choice.permutation import permutation
from eval.choice.random_passages import PassagePool
from eval.choice.records import record_of
from eval.choice.sample import ChoiceSample, Shown, State
from eval.datasets.choice import Question
from eval.errors import EvalError
from eval.runs.cache import ResponseCache, key_of
from eval.runs.samples import Record
from generation.choosing import Chooser
from generation.citations import Citation
from generation.errors import GenerationError
from generation.multiple_choice import Chosen
from rag_app.cost.flops import Model, operations

TEXTS_KEPT = 10
"""Passages of a sample whose text is logged: fifty of each question would be a gigabyte."""


@dataclass(frozen=True)
class Asker:
    """Asks the questions of a run.

    Attributes:
        identity: all that makes the chooser answer as it does; see `identity_of`.
        model: of the chooser, for the cost of its answers; None where it is not known.
    """

    chooser: Chooser
    seed: int
    private: bool
    identity: Mapping[str, Any]
    model: Model | None = None
    finder: Finder | None = None
    pool: PassagePool | None = None
    cache: ResponseCache | None = None

    def about(self, question: Question, arm: Arm, repeat: int) -> Record:
        """What a record holds whether or not there is an answer."""
        order = permutation(self.seed, question.id, len(question.choices), repeat)
        return record_of(
            ChoiceSample(
                arm=arm.name, id=question.id, repeat=repeat, subject=question.subject, order=order,
                answer=question.answer, chosen=None, state="error",
            )
        )  # fmt: skip

    async def ask(self, question: Question, arm: Arm, repeat: int) -> Record:
        """The record of an answer.

        Raises:
            RagAppError: there is none; for private data sets the message is
                one that repeats nothing of the question.
        """
        try:
            return await self._ask(question, arm, repeat)
        except RagAppError as error:
            if not self.private:
                raise
            raise _discreet(error) from None

    async def _ask(self, question: Question, arm: Arm, repeat: int) -> Record:
        order = permutation(self.seed, question.id, len(question.choices), repeat)
        passages, flops, searched = await self._passages(question, arm)
        shown = [question.choices[place] for place in order]
        chosen, milliseconds, cached = await self._choose(
            question.question, shown, passages, arm, repeat
        )
        texts = [one.node.get_content() for one in passages]
        used = self.model and operations(self.model, chosen.prompt_tokens, chosen.completion_tokens)
        sample = ChoiceSample(
            arm=arm.name,
            id=question.id,
            repeat=repeat,
            subject=question.subject,
            order=order,
            answer=question.answer,
            chosen=None if chosen.index is None else order[chosen.index],
            state=_state(chosen),
            detail=chosen.state,
            text="" if self.private else chosen.text,
            passages=tuple(self._shown(n, passage) for n, passage in enumerate(passages)),
            passages_used=chosen.passages_used,
            overlap=bool(texts) and shares_ngram(question.question, texts),
            prompt_tokens=chosen.prompt_tokens,
            completion_tokens=chosen.completion_tokens,
            flops=flops + (used or 0.0),
            milliseconds=round(searched + milliseconds, 3),
        )
        return {**record_of(sample), "cached": cached}

    async def _passages(
        self, question: Question, arm: Arm
    ) -> tuple[Sequence[NodeWithScore], float, float]:
        """Passages, and the operations and milliseconds that finding them took.

        Queries show the choices in the order of the first repeat: that of the data set may begin
        with the right one (GPQA's does), and repeats shall not differ in their passages.
        """
        if arm.kind == "closed_book" or self.finder is None:
            return [], 0.0, 0.0
        order = permutation(self.seed, question.id, len(question.choices))
        choices = [question.choices[place] for place in order]
        queries = self.chooser.queries(question.question, choices)
        found = await self.finder.find(queries, arm.options)
        if arm.kind == "rag" or self.pool is None:
            return found.passages, found.flops, found.milliseconds
        return self.pool.draw(found.passages, self.seed, question.id), 0.0, 0.0

    async def _choose(
        self,
        question: str,
        choices: Sequence[str],
        passages: Sequence[NodeWithScore],
        arm: Arm,
        repeat: int,
    ) -> tuple[Chosen, float, bool]:
        """The answer, the milliseconds it took when it was made, and whether that was earlier."""
        cache = self.cache if arm.replicate == 1 else None
        key = ""
        if cache is not None:
            key = self._key(question, choices, passages, repeat)
            kept = cache.get(key)
            if kept is not None:
                return Chosen(**kept["chosen"]), float(kept["milliseconds"]), True
        start = time.perf_counter()
        chosen = await self.chooser.choose(question, choices, passages)
        milliseconds = (time.perf_counter() - start) * 1000
        if cache is not None:
            kept = asdict(chosen) | ({"text": ""} if self.private else {})
            cache.put(key, {"chosen": kept, "milliseconds": milliseconds})
        return chosen, milliseconds, False

    def _key(
        self, question: str, choices: Sequence[str], passages: Sequence[NodeWithScore], repeat: int
    ) -> str:
        return key_of(
            {
                "chooser": self.identity,
                "question": question,
                "choices": choices,
                "passages": [_all_that_is_read(passage) for passage in passages],
                "repeat": repeat,
                "private": self.private,  # their texts are not kept
            }
        )

    def _shown(self, rank: int, passage: NodeWithScore) -> Shown:
        cited = Citation.of(1, passage)
        text = "" if self.private or rank >= TEXTS_KEPT else cited.text
        return Shown(cited.passage_id, cited.source, passage.score or 0.0, text)


def identity_of(chooser: Chooser, address: str) -> dict[str, Any]:
    """All that makes a chooser answer as it does: its own identity, its server, and the code.

    The code is that of the package `generation`, where prompts are written and answers are read:
    with any change in it, answers of earlier versions are not taken for those of this one.
    """
    code = hashlib.sha256()
    for file in sorted(resources.files("generation").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            code.update(file.read_bytes())
    return {**chooser.identity, "address": address, "code": code.hexdigest()}


def _all_that_is_read(passage: NodeWithScore) -> list[Any]:
    metadata = passage.node.metadata
    place = [metadata.get(name) for name in ("source", "page", "headings")]
    return [passage.node.get_content(), passage.score, *place]


def _state(chosen: Chosen) -> State:
    if chosen.index is not None:
        return "ok"
    return "truncated" if chosen.truncated else "unparsed"


def _discreet(error: Exception) -> EvalError:
    """The error without what a server may have repeated of the question.

    Our own messages about language models name the thing alone; causes quote servers.
    """
    if isinstance(error, GenerationError | EvalError):
        return EvalError(error.message, hint=error.hint)
    return EvalError(f"{type(error).__name__}; its words are withheld, as the data set is private")
