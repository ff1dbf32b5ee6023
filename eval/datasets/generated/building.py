"""A set of questions about a collection: drawing passages, and asking about each."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from eval.datasets.generated import asking, templates
from eval.datasets.generated.questions import GeneratedQuestion, Kind, Place
from eval.datasets.generated.sampling import SHORTEST, Survey, draw, fetch, survey
from eval.errors import EvalError
from rag_app.results import Hit
from rag_app.service import Service
from rag_app.settings import Settings
from retrieval.analysis import Analyzer

_SPARE = 2
"""Passages drawn for each question that is wanted, since not every passage yields one."""
SEED = 0


@dataclass(frozen=True)
class Built:
    """A new set of questions.

    Attributes:
        outcomes: how many passages yielded a question (``asked``), and why the others did not.
    """

    questions: list[GeneratedQuestion]
    outcomes: dict[str, int]


async def build(
    service: Service,
    settings: Settings,
    collection: str,
    count: int,
    encoder: str | None = None,
    seed: int = SEED,
) -> Built:
    """Make questions: by the language model where one is connected, else from templates.

    Args:
        settings: whether a language model is connected (``llm.model``), and the language.
        count: how many questions; there may be fewer, where passages yield none.

    Raises:
        EvalError: no passage yields a question, or the language model mostly fails.
    """
    terms = None if settings.llm.model else Analyzer(settings.bm25.language)
    seen = await survey(service, collection, encoder, terms)
    chosen = draw(seen.places, seed)[: count * _SPARE]
    texts = await fetch(service, collection, chosen, encoder)
    passages = [(where, texts[where]) for where in chosen if where in texts]
    if terms is None:
        built = await _by_model(settings, passages, count)
    else:
        built = _by_template(passages, count, seen, terms)
    if not built.questions:
        raise EvalError(
            f"no question could be made about collection {collection!r}",
            cause=f"of {seen.passages} passages {len(seen.places)} have {SHORTEST} words or more"
            + "".join(f"; {what}: {number}" for what, number in built.outcomes.items()),
            hint="Take in more text, or connect a language model (RAG_APP_LLM__MODEL)",
        )
    return built


def _by_template(
    passages: Sequence[tuple[Place, Hit]], count: int, seen: Survey, terms: Analyzer
) -> Built:
    rarity = templates.Rarity(terms, seen.frequency, seen.passages)
    questions: list[GeneratedQuestion] = []
    outcomes: Counter[str] = Counter()
    for where, hit in passages:
        if len(questions) == count:
            break
        made = templates.question(hit.text, hit.headings, rarity)
        outcomes["asked" if made else "no_question"] += 1
        if made:
            questions.append(_question(where, *made))
    return Built(questions, dict(outcomes))


async def _by_model(settings: Settings, passages: Sequence[tuple[Place, Hit]], count: int) -> Built:
    import httpx

    from rag_app.assembly.clients import llm

    questions: list[GeneratedQuestion] = []
    outcomes: Counter[str] = Counter()
    left = list(passages)
    async with httpx.AsyncClient(trust_env=False) as connections:
        client = llm(settings.llm, connections)
        while left and len(questions) < count:
            wanted = count - len(questions)
            batch, left = left[:wanted], left[wanted:]
            asked = (asking.ask(client, hit.text, settings.llm.timeout) for _, hit in batch)
            for (where, _), (question, outcome) in zip(
                batch, await asyncio.gather(*asked), strict=True
            ):
                outcomes[outcome] += 1
                if question:
                    questions.append(_question(where, question, "llm", settings.llm.model))
            _require_answers(outcomes, settings.llm.api_base)
    return Built(questions, dict(outcomes))


def _question(where: Place, question: str, kind: Kind, model: str = "") -> GeneratedQuestion:
    return GeneratedQuestion(_id(where, question), question, kind, model, where)


def _require_answers(outcomes: Counter[str], address: str) -> None:
    if 2 * outcomes["failed"] > outcomes.total():
        raise EvalError(
            f"the language model at {address} made no questions",
            cause=f"{outcomes['failed']} of {outcomes.total()} calls failed",
            hint="`rag-app doctor` tells why; without llm.model templates make questions",
        )


def _id(where: Place, question: str) -> str:
    return hashlib.sha256(f"{where.id}\n{question}".encode()).hexdigest()[:12]
