"""Training data that a language model writes of a collection's passages.

* hq: questions that take reasoning to match with their passage (ReasonIR-SYNTHESIZER, HQ);
* vl: requests of 300 to 2,000 words with a written positive (the same, VL);
* remixer: posts by sampled length and level; a retriever finds candidates outside the passage's own
  document, and the model judges each (ReMixer of ReasonEmbed).

Queries are made first, freed of doubles and of what an evaluation asks, and only then completed.
"""

import asyncio
import hashlib
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from llama_index.core.base.llms.types import ChatMessage

from data.text import well_formed
from rag_app.service import QueryOptions, Service
from rag_app.settings import RetrieverName
from rag_app.synthesis import calls, filters, prompts
from rag_app.synthesis import collection as reading
from rag_app.synthesis.calls import Calls, Unusable
from retrieval.training.examples import Example
from retrieval.training.pairs import Passage

Kind = Literal["hq", "vl", "remixer"]
SHORTEST, LONGEST = 200, 5000
"""Characters of a passage that a query is made of, as ReMixer has them."""
VL_WORDS = (300, 2000)
"""Words of a long query."""
_VL_ASKED: Final = (300, 500, 800, 1200, 2000)
_SHORTEST_QUERY, _SHORTEST_TEXT = 6, 30  # words
_LONGEST_QUERY: Final = 50_000
"""Characters: more is a model that found no end, and too much to search for."""
_SLACK: Final = 1 / 3
"""Models count words badly: a long query may miss its bounds by this share."""
_POSITIVE: Final = 3
"""Lowest grade, of 1 to 5, of a positive."""
_NAMES_DOCUMENT: Final = re.compile(
    r"\b(?:the|this|that|given|provided) (?:document|passage|text|excerpt|article)s?\b"
    r"(?! (?:field|box|file|editor|message))",
    re.IGNORECASE,
)
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Plan:
    """What is made, and how.

    Attributes:
        queries: of a passage; hq alone.
        negatives: hard negatives that are mined for a query; hq alone.
        candidates: passages that are judged for a query; remixer alone.
        gold: ids, documents and texts that an evaluation holds for answers: neither seeds nor
            candidates.
    """

    kind: Kind
    queries: int = 1
    negatives: int = 4
    retriever: RetrieverName = "hybrid"
    candidates: int = 20
    reasoning: bool = False
    gold: frozenset[str] = frozenset()
    questions: Sequence[str] = ()
    seed: int = 0
    concurrency: int = 32


@dataclass(frozen=True)
class _Work:
    """What every step needs: where to search, whom to ask, and where losses are counted."""

    service: Service
    collection: str
    plan: Plan
    asking: Calls
    dropped: Counter[str]


@dataclass(frozen=True)
class _Draft:
    """A query before it is completed: with the turns that led to it."""

    example: Example
    source: Passage
    turns: tuple[ChatMessage, ...] = ()


@dataclass
class Result:
    """What was made.

    Attributes:
        dropped: answers and queries that could not be used, by step and reason.
    """

    examples: list[Example] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def seeds(
    passages: Sequence[Passage], worth: set[str], plan: Plan, limit: int, dropped: Counter[str]
) -> list[Passage]:
    """The passages that queries are made of, drawn by chance."""
    kept = []
    for one in sorted(passages, key=lambda one: (one.document, one.id, one.text)):
        if is_gold(plan.gold, one.id, one.document, one.passage_id, one.text):
            dropped["passage: answers an evaluation"] += 1
        elif one.document not in worth:
            dropped["passage: its document is not worth it"] += 1
        elif not SHORTEST <= len(one.text) <= LONGEST:
            dropped["passage: too short" if len(one.text) < SHORTEST else "passage: too long"] += 1
        else:
            kept.append(one)
    random.Random(plan.seed).shuffle(kept)  # noqa: S311 - no secret
    if len(kept) > limit:
        dropped["passage: beyond the limit"] += len(kept) - limit
    return kept[:limit]


def is_gold(gold: frozenset[str], *names: str) -> bool:
    """Whether an evaluation holds one of these for an answer."""
    return not gold.isdisjoint(names)


async def generate(
    service: Service, collection: str, chosen: Sequence[Passage], plan: Plan, asking: Calls
) -> Result:
    """Examples of passages; see the module."""
    dropped: Counter[str] = Counter()
    work = _Work(service, collection, plan, asking, dropped)

    async def draft(one: Passage) -> list[_Draft]:
        try:
            return await _QUERIES[plan.kind](work, one)
        except Unusable as reason:
            dropped[f"query: {reason}"] += 1
            return []

    made = [one for part in await _each(chosen, draft, plan.concurrency) for one in part]
    fresh = filters.distinct((one.example for one in made), dropped)
    clean = {id(one) for one in filters.uncontaminated(fresh, plan.questions, dropped)}
    kept = [one for one in made if id(one.example) in clean]

    async def complete(one: _Draft) -> Example | None:
        example = await (_annotated if plan.kind == "remixer" else _contrasted)(work, one)
        return await _reasoned(work, example) if example and plan.reasoning else example

    found = await _each(kept, complete, plan.concurrency)
    return Result([one for one in found if one is not None], dropped)


async def _each(items: Sequence[T], work: Callable[[T], Awaitable[R]], at_once: int) -> list[R]:
    """What `work` makes of each item, in their order, with so many under way."""
    places = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with places:
            return await work(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:  # where one failed, nobody waits for the others
            task.cancel()


# ------------------------------------------------------------------------------------ the queries


async def _hq(work: _Work, one: Passage) -> list[_Draft]:
    queries = work.plan.queries
    asked = prompts.HQ_TURN.format(count=queries, document=calls.quoted(one.indexed))
    messages = (calls.system(prompts.HQ), calls.user(asked))
    text = await work.asking.ask("hq", messages, temperature=0.0, max_tokens=2048)
    listed = calls.field(text, "hard_query")
    if not isinstance(listed, list):
        listed = [listed]
    turns = (*messages, calls.assistant(text))
    found = []
    for item in listed[:queries]:
        query = _flat(item)
        if problem := _problem(query, one):
            work.dropped[f"query: {problem}"] += 1
            continue
        example = Example(query=query, pos=[one.indexed], pos_id=[one.id], kind="hq")
        found.append(_Draft(example, one, turns))
    if not listed:
        raise Unusable("malformed")
    return found


async def _vl(work: _Work, one: Passage) -> list[_Draft]:
    words = _chance(work.plan, one).choice(_VL_ASKED)
    asked = prompts.VL_TURN.format(words=words, document=calls.quoted(one.indexed))
    messages = (calls.system(prompts.VL), calls.user(asked))
    text = await work.asking.ask("vl", messages, temperature=1.0, top_p=0.9, max_tokens=5120)
    query, positive = (calls.text_field(text, name) for name in ("query", "positive"))
    low, high = VL_WORDS
    if not low * (1 - _SLACK) <= len(query.split()) <= high * (1 + _SLACK):
        raise Unusable("not 300 to 2,000 words")
    if len(query) > _LONGEST_QUERY:
        raise Unusable("too long")
    if len(positive.split()) < _SHORTEST_TEXT:
        raise Unusable("positive too short")
    if filters.shared(query, positive) > filters.MOST_SHARED:
        raise Unusable("copies its positive")
    example = Example(query=query, pos=[positive], pos_id=[_written_id(positive)], kind="vl")
    return [_Draft(example, one, (*messages, calls.assistant(text)))]


async def _remixer(work: _Work, one: Passage) -> list[_Draft]:
    chance = _chance(work.plan, one)
    asked = prompts.REMIXER_TURN.format(
        document=calls.quoted(one.indexed),
        length=_drawn(chance, prompts.LENGTHS),
        level=_drawn(chance, prompts.LEVELS),
    )
    messages = (calls.system(prompts.REMIXER), calls.user(asked))
    text = await work.asking.ask("remixer", messages, temperature=1.0, top_p=0.6, max_tokens=2048)
    query = calls.text_field(text, "query")
    if problem := _problem(query, one):
        raise Unusable(problem)
    return [_Draft(Example(query=query, pos=[one.indexed], pos_id=[one.id], kind="remixer"), one)]


_QUERIES: Final[Mapping[Kind, Callable[[_Work, Passage], Awaitable[list[_Draft]]]]] = {
    "hq": _hq,
    "vl": _vl,
    "remixer": _remixer,
}


def _written_id(text: str) -> str:
    """The id of a text that a model wrote: it belongs to no document."""
    return f"written {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _flat(item: object) -> str:
    """A query; of an object with scenario and question, its texts after one another."""
    if isinstance(item, dict):
        item = "\n".join(str(part).strip() for part in item.values() if str(part).strip())
    return well_formed(item.strip()) if isinstance(item, str) else ""


def _problem(query: str, source: Passage) -> str:
    """Why a query is of no use; empty if it is."""
    if len(query.split()) < _SHORTEST_QUERY:
        return "too short"
    if len(query) > _LONGEST_QUERY:
        return "too long"
    if _NAMES_DOCUMENT.search(query):
        return "names its document"
    if filters.shared(query, source.indexed) > filters.MOST_SHARED:
        return "copies its document"
    return ""


def _chance(plan: Plan, one: Passage) -> random.Random:
    """The same draws for the same passage, whichever others there are."""
    return random.Random(f"{plan.seed}:{one.id}:{one.text}")  # noqa: S311 - no secret


def _drawn(chance: random.Random, options: Sequence[tuple[str, int]]) -> str:
    names, weights = zip(*options, strict=True)
    return str(chance.choices(names, weights)[0])


# ----------------------------------------------------------------------- negatives and annotation


async def _contrasted(work: _Work, one: _Draft) -> Example:
    """The query with negatives: mined ones, where the plan asks for them, and a written one."""
    plan, example = work.plan, one.example
    if plan.kind == "hq" and plan.negatives:
        example = await reading.with_negatives(
            work.service, work.collection, example,
            retriever=plan.retriever, keep=plan.negatives, gold=plan.gold,
        )  # fmt: skip
    try:
        written = await _negative(work, one)
    except Unusable as reason:
        work.dropped[f"negative: {reason}"] += 1
        return example
    ids = [*example.neg_id, _written_id(written)]
    return example.model_copy(update={"neg": [*example.neg, written], "neg_id": ids})


async def _negative(work: _Work, one: _Draft) -> str:
    """A hard negative, asked for in the next turn of the conversation that made the query."""
    positive = one.example.pos[0]
    asked = prompts.NEGATIVE.format(
        request="your request" if one.example.kind == "vl" else f"this request: {one.example.query}"
    )
    text = await work.asking.ask(
        "negative", (*one.turns, calls.user(asked)), temperature=0.7, max_tokens=2048
    )
    written = calls.text_field(text, "hard_negative_document")
    if len(written.split()) < _SHORTEST_TEXT:
        raise Unusable("too short")
    if filters.shared(written, positive) > filters.MOST_SHARED:
        raise Unusable("copies the positive")
    return written


async def _annotated(work: _Work, one: _Draft) -> Example | None:
    """The query with what the model takes for positives and negatives among the candidates."""
    plan = work.plan
    options = QueryOptions(retriever=plan.retriever, top_k=plan.candidates)
    hits = (await work.service.search(work.collection, one.example.query, options)).hits
    others = []
    for hit in hits:
        if reading.unit(hit) == one.source.id:
            continue  # its own document answers by how the query was made
        if is_gold(plan.gold, reading.unit(hit), hit.source, hit.passage_id, hit.text):
            work.dropped["candidate: answers an evaluation"] += 1
            continue
        others.append(hit)
    grades = await asyncio.gather(
        *(_grade(work, one.example.query, reading.indexed(hit)) for hit in others)
    )
    graded = [(hit, grade) for hit, grade in zip(others, grades, strict=True) if grade]
    good = [hit for hit, grade in graded if grade >= _POSITIVE]
    bad = [hit for hit, grade in graded if grade < _POSITIVE]
    if not good or not bad:
        work.dropped["query: no positive" if not good else "query: no negative"] += 1
        return None
    return one.example.model_copy(
        update={
            "pos": [reading.indexed(hit) for hit in good],
            "pos_id": [reading.unit(hit) for hit in good],
            "neg": [reading.indexed(hit) for hit in bad],
            "neg_id": [reading.unit(hit) for hit in bad],
        }
    )


async def _grade(work: _Work, query: str, text: str) -> int:
    """1 to 5; 0 where the model gave none."""
    asked = prompts.ANNOTATE_TURN.format(query=query, document=calls.quoted(text))
    messages = (calls.system(prompts.ANNOTATE), calls.user(asked))
    try:
        text = await work.asking.ask(
            "annotate", messages, temperature=0.7, top_p=0.95, max_tokens=2048
        )
        return calls.score(text, 1, 5)
    except Unusable as reason:
        work.dropped[f"grade: {reason}"] += 1
        return 0


async def _reasoned(work: _Work, example: Example) -> Example:
    """The example with q': the query, and what the model reasons about it."""
    messages = (
        calls.system(prompts.REASON),
        calls.user(prompts.REASON_TURN.format(query=example.query)),
    )
    try:
        thought = await work.asking.ask(
            "reason", messages, temperature=0.7, top_p=0.95, max_tokens=1024
        )
    except Unusable as reason:
        work.dropped[f"reasoning: {reason}"] += 1
        return example
    return example.model_copy(update={"reasoning_query": f"{example.query}\n{thought.strip()}"})
