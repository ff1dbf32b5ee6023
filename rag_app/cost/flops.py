"""What answers cost in floating-point operations: of calls that were made, and of whole set-ups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rag_app.cost import shapes
from rag_app.cost.metering import Meter
from rag_app.cost.shapes import Shape
from rag_app.errors import SettingsError
from retrieval.encoders.registry import EncoderRow
from retrieval.reranking.cross_encoder_models import CROSS_ENCODERS

Model = Shape | float
"""A model's shape, or, where that is not known, its number of parameters."""


def cost_of(meter: Meter, parameters: Mapping[str, float] | None = None) -> dict[str, float]:
    """Floating-point operations of the calls of a meter, by stage.

    Calls whose tokens the server did not tell, and those of unknown models, count for nothing.

    Args:
        meter: the calls.
        parameters: by model, its number of parameters, for those that `shapes.SHAPES` lacks.
    """
    stages: dict[str, float] = {}
    for call in meter.calls:
        model = shapes.shape_of(call.model) or (parameters or {}).get(call.model)
        if model and call.prompt_tokens is not None and call.completion_tokens is not None:
            spent = operations(model, call.prompt_tokens, call.completion_tokens)
            stages[call.stage] = stages.get(call.stage, 0.0) + spent
    return stages


def operations(model: Model, prompt_tokens: int, completion_tokens: int) -> float:
    """Floating-point operations of one call; a number of parameters counts as `2 N` a token."""
    if isinstance(model, Shape):
        return shapes.flops(model, prompt_tokens, completion_tokens)
    return 2.0 * model * (prompt_tokens + max(completion_tokens - 1, 0))


def model_named(text: str) -> Model:
    """The model that `text` names, or a number of parameters such as `32e9`.

    Raises:
        SettingsError: the name is not known, and no positive number either.
    """
    shape = shapes.shape_of(text)
    if shape is not None:
        return shape
    if text in CROSS_ENCODERS:
        return CROSS_ENCODERS[text].parameters
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise SettingsError(
            f"the shape of {text} is not known",
            cause=f"the known models are {', '.join([*shapes.SHAPES, *CROSS_ENCODERS])}",
            hint="Name one of them, or give a number of parameters such as 32e9",
        )
    return number


@dataclass(frozen=True, slots=True)
class Workload:
    """One question and what is done for it; all numbers are tokens unless said otherwise.

    Attributes:
        query: of the question.
        passage: of a passage.
        candidates: passages that are reranked.
        prompt: of the words around question and passage in a prompt of rewriting or reranking.
        rewrite: of the longer query that is written.
        grade: of QwenRerank's answer, `Relevance score: 3.`
        reasoning: of Rank1's answer with its reasoning.
    """

    query: int = 128
    passage: int = 300
    candidates: int = 100
    prompt: int = 150
    rewrite: int = 1024
    grade: int = 6
    reasoning: int = 300


@dataclass(frozen=True, slots=True)
class Configuration:
    """A set-up and what it costs for one question."""

    name: str
    flops: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Floating-point operations of all stages."""
        return sum(self.flops.values())


def configurations(
    work: Workload,
    encoder: EncoderRow,
    rewriter: Model,
    grader: Model,
    reasoner: Model,
    cross_encoder: Model,
) -> list[Configuration]:
    """The set-ups that were published for BRIGHT, and a cross-encoder; first the retriever alone.

    Rewriting replaces the question by the rewrite, for the retriever and the reranker, as in
    ReasonIR's evaluation (https://github.com/facebookresearch/ReasonIR, evaluation/bright).

    Raises:
        SettingsError: the encoder's number of parameters is not published.
    """
    if not encoder.parameters:
        raise SettingsError(
            f"encoder {encoder.name} does not say how many parameters it has",
            hint="Choose another encoder",
        )

    def retrieve(query: int) -> float:
        return 2.0 * encoder.parameters * query

    def rerank(model: Model, query: int, written: int) -> float:
        return work.candidates * operations(model, work.prompt + query + work.passage, written)

    pairs = work.candidates * operations(cross_encoder, work.query + work.passage, 1)
    rewrite = operations(rewriter, work.prompt + work.query, work.rewrite)
    short, long = retrieve(work.query), retrieve(work.rewrite)
    name = encoder.name
    return [
        Configuration(name, {"retrieve": short}),
        Configuration(f"{name} + rewriting", {"rewrite": rewrite, "retrieve": long}),
        Configuration(
            f"{name} + QwenRerank",
            {"retrieve": short, "rerank": rerank(grader, work.query, work.grade)},
        ),
        Configuration(
            f"{name} + rewriting + QwenRerank",
            {
                "rewrite": rewrite,
                "retrieve": long,
                "rerank": rerank(grader, work.rewrite, work.grade),
            },
        ),
        Configuration("BM25 + Rank1", {"rerank": rerank(reasoner, work.query, work.reasoning)}),
        Configuration(f"{name} + cross-encoder", {"retrieve": short, "rerank": pairs}),
    ]


def compared(found: list[Configuration]) -> list[dict[str, Any]]:
    """Each configuration as JSON, with its ratio to the first two: without and with rewriting."""
    plain, rewriting = found[0].total, found[1].total
    return [
        {
            "name": one.name,
            "flops": dict(one.flops),
            "total": one.total,
            "times_retriever": one.total / plain,
            "times_rewriting": one.total / rewriting,
        }
        for one in found
    ]
