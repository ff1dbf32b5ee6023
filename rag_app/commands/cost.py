"""`cost`: how much the published ways of retrieval compute for one question."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer

from rag_app.commands import output
from rag_app.commands.common import AsJson

_LLM = "a model's name, or a number of parameters such as 32e9."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(cost)


def _tokens(help_text: str) -> Any:
    return typer.Option(help=help_text, min=1)


def cost(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    encoder: Annotated[str, typer.Option(help="Row of the encoder registry.")] = "reasonir-8b",
    rewriter: Annotated[str, typer.Option(help=f"Rewrites: {_LLM}")] = "Llama-3.1-8B-Instruct",
    reranker: Annotated[str, typer.Option(help=f"Grades: {_LLM}")] = "Qwen2.5-32B-Instruct",
    reasoner: Annotated[str, typer.Option(help=f"Reasons: {_LLM}")] = "rank1-32b",
    cross_encoder: Annotated[
        str, typer.Option(help=f"Scores pairs: {_LLM}")
    ] = "ettin-reranker-17m",
    candidates: Annotated[int, _tokens("Passages that are reranked.")] = 100,
    query_tokens: Annotated[int, _tokens("Tokens of the question.")] = 128,
    passage_tokens: Annotated[int, _tokens("Tokens of a passage.")] = 300,
    prompt_tokens: Annotated[int, _tokens("Tokens of a prompt beside these.")] = 150,
    rewrite_tokens: Annotated[int, _tokens("Tokens of the rewritten query.")] = 1024,
    grade_tokens: Annotated[int, _tokens("Tokens of a grade.")] = 6,
    reasoning_tokens: Annotated[int, _tokens("Tokens of a judgement with its reasoning.")] = 300,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time the reranker of the settings, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compute what rewriting and reranking cost beside the retriever alone."""
    from rag_app.assembly.encoders import choose
    from rag_app.cost.flops import Workload, compared, configurations, model_named

    work = Workload(
        query_tokens, passage_tokens, candidates, prompt_tokens, rewrite_tokens, grade_tokens,
        reasoning_tokens,
    )  # fmt: skip
    row = choose(context.obj, encoder).row
    models = {
        "rewriter": rewriter, "reranker": reranker, "reasoner": reasoner,
        "cross_encoder": cross_encoder,
    }  # fmt: skip
    found = configurations(work, row, *map(model_named, models.values()))
    document = {
        "tokens": asdict(work),
        "models": {"encoder": row.model_id, **models},
        "configurations": compared(found),
    }
    if measure:
        from rag_app.commands.latency import latency  # LlamaIndex is slow to import

        document["latency"] = asyncio.run(latency(context.obj, work))
    output.show(document, as_json, output.costs)
