"""`search`, `ask` and `compare`: what can be found."""

from typing import Annotated, Any

import typer

from rag_app.assembly.encoders import rows
from rag_app.commands import output
from rag_app.commands.common import (
    Accept,
    AsJson,
    EncoderName,
    InCollection,
    accepted,
    query_options,
    with_service,
)
from rag_app.errors import ApplicationError
from rag_app.settings import Settings

Retriever = Annotated[
    str | None, typer.Option(help="dense, bm25, hybrid, rank_bm25, or none (closed-book).")
]
Fusion = Annotated[str | None, typer.Option(help="rrf, minmax, minmax-observed or none.")]
Weight = Annotated[float | None, typer.Option(help="Share of the dense side in minmax, 0 to 1.")]
Rewrite = Annotated[str | None, typer.Option(help="none, llm or decompose.")]
Rerank = Annotated[
    str | None,
    typer.Option(help="none, qwen, qwen-sampled, cross-encoder, rank1 or retro-star."),
]
TopK = Annotated[int | None, typer.Option(help="Passages to return.")]
Sources = Annotated[
    list[str] | None, typer.Option("--source", help="Search this document only; may be repeated.")
]

Also = Annotated[
    list[str] | None, typer.Option("--also", help="Ask this collection as well; may be repeated.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(search)
    app.command()(ask)
    app.command()(compare)


def search(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    collection: InCollection = None,
    retriever: Retriever = None,
    encoder: EncoderName = None,
    fusion: Fusion = None,
    weight: Weight = None,
    rewrite: Rewrite = None,
    rerank: Rerank = None,
    top_k: TopK = None,
    source: Sources = None,
    also: Also = None,
    accept_license: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Show the passages that a question finds."""
    settings = accepted(context.obj, encoder, accept_license)
    options = query_options(
        encoder=encoder, retriever=retriever, fusion=fusion, weight=weight, rewrite=rewrite,
        rerank=rerank, top_k=top_k, sources=tuple(source or ()),
        also=tuple(also or ()),
    )  # fmt: skip
    name = collection or settings.collection
    found = with_service(settings, lambda service: service.search(name, query, options))
    output.show(found.as_dict(), as_json, output.hits)


def ask(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What to answer.")],
    collection: InCollection = None,
    retriever: Retriever = None,
    encoder: EncoderName = None,
    fusion: Fusion = None,
    weight: Weight = None,
    rewrite: Rewrite = None,
    rerank: Rerank = None,
    reader: Annotated[str | None, typer.Option(help="quote or llm.")] = None,
    top_k: TopK = None,
    source: Sources = None,
    also: Also = None,
    accept_license: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Answer a question, with citations."""
    settings = accepted(context.obj, encoder, accept_license)
    options = query_options(
        encoder=encoder, retriever=retriever, fusion=fusion, weight=weight, rewrite=rewrite,
        rerank=rerank, reader=reader, top_k=top_k, sources=tuple(source or ()),
        also=tuple(also or ()),
    )  # fmt: skip
    name = collection or settings.collection

    async def answer(service: Any) -> Any:
        from rag_app.results import Answer

        async for event in service.ask(name, question, (), options):
            if isinstance(event, Answer):
                return event
            output.stream(event, as_json)
        raise ApplicationError("the reader ended without an answer", hint="Ask again")

    output.show(with_service(settings, answer).as_dict(), as_json, output.citations)


def compare(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What to look for.")],
    systems: Annotated[
        str,
        typer.Option(
            help="RETRIEVER or RETRIEVER@ENCODER, behind it +rewrite and +RERANKER as wanted; "
            "or ENCODER alone. Commas between systems."
        ),
    ],
    collection: InCollection = None,
    top_k: TopK = None,
    accept_license: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Show side by side what several systems find."""
    from rag_app.commands import comparison_table
    from rag_app.systems import comparison, grammar

    settings: Settings = context.obj
    usual, known = settings.encoder.name, [row.name for row in rows(settings)]
    asked = grammar.compared(systems, known, usual)
    for system in asked:
        settings = accepted(settings, system.options.encoder, accept_license)
    depth = top_k or settings.retrieval.top_k

    async def search_all(service: Any) -> Any:
        results = {}
        for system in asked:
            options = system.options.model_copy(update={"top_k": depth})
            name = collection or settings.collection
            results[system.name] = await service.search(name, question, options)
        return comparison.compare(results, depth)

    found = with_service(settings, search_all)
    output.show(found.as_dict(), as_json, comparison_table.show)
