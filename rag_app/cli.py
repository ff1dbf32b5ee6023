"""The command `rag-app`: typer commands over `rag_app.service.Service`.

Human-readable on a terminal, one JSON document on stdout with `--json`; progress and logs on
stderr. Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with some items failed. Packages above
this one add their commands through the entry-point group `rag_app.commands`.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from rag_app import output, telemetry
from rag_app.errors import EXPECTED, ApplicationError, SettingsError
from rag_app.settings import Settings, load_settings, override

GROUP = "rag_app.commands"
T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
InCollection = Annotated[
    str | None, typer.Option("--collection", "-c", help="Collection; the settings name a default.")
]
Retriever = Annotated[
    str | None, typer.Option(help="dense, bm25, hybrid, rank_bm25, or none (closed-book).")
]
EncoderName = Annotated[str | None, typer.Option("--encoder", help="Row of the encoder registry.")]
Fusion = Annotated[str | None, typer.Option(help="rrf, minmax or none.")]
Weight = Annotated[float | None, typer.Option(help="Share of the dense side in minmax, 0 to 1.")]
Rewrite = Annotated[str | None, typer.Option(help="none.")]
Rerank = Annotated[str | None, typer.Option(help="none.")]
TopK = Annotated[int | None, typer.Option(help="Passages to return.")]
Sources = Annotated[
    list[str] | None, typer.Option("--source", help="Search this document only; may be repeated.")
]

app = typer.Typer(
    name="rag-app",
    help="Answers questions over your own documents, with evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
documents_app = typer.Typer(no_args_is_help=True, help="List and delete documents.")
collections_app = typer.Typer(no_args_is_help=True, help="List, delete and rebuild collections.")
config_app = typer.Typer(no_args_is_help=True, help="Show the settings in force.")
app.add_typer(documents_app, name="documents")
app.add_typer(collections_app, name="collections")
app.add_typer(config_app, name="config")


@app.callback()
def _settings(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Settings file (TOML).")] = None,
    profile: Annotated[str | None, typer.Option(help="laptop, gpu or cluster.")] = None,
) -> None:
    """Answers questions over your own documents, with evidence."""
    context.obj = load_settings(config, profile)
    output.set_up_logging(context.obj.log_level)


@app.command()
def ingest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    collection: InCollection = None,
    engine: Annotated[str, typer.Option(help="Where the work is done: local.")] = "local",
    as_json: AsJson = False,
) -> None:
    """Take files and folders into a collection; run again to resume or update."""
    if engine != "local":
        raise SettingsError(f"engine {engine!r} is not available", way_out="Use --engine local")
    settings: Settings = context.obj
    name = collection or settings.collection
    with output.progress() as tell:
        report = _with_service(settings, lambda service: service.ingest(name, paths, tell))
    output.show(report.as_dict(name), as_json, output.ingest_report)
    if report.failures:
        raise typer.Exit(3)


@documents_app.command("list")
def list_documents(
    context: typer.Context, collection: InCollection = None, as_json: AsJson = False
) -> None:
    """List the documents of a collection."""
    settings: Settings = context.obj
    name = collection or settings.collection
    found = _with_service(settings, lambda service: service.documents(name))
    documents = [output.plain(document) for document in found]
    output.show({"collection": name, "documents": documents}, as_json, output.documents)


@documents_app.command("delete")
def delete_documents(
    context: typer.Context,
    sources: Annotated[list[str], typer.Argument(help="Names as `documents list` shows them.")],
    collection: InCollection = None,
    as_json: AsJson = False,
) -> None:
    """Delete documents with their passages and original files."""
    settings: Settings = context.obj
    name = collection or settings.collection

    async def delete(service: Any) -> dict[str, list[str]]:
        done = {source: await service.delete_document(name, source) for source in sources}
        return {
            "deleted": [source for source, gone in done.items() if gone],
            "missing": [source for source, gone in done.items() if not gone],
        }

    result = _with_service(settings, delete)
    output.show({"collection": name, **result}, as_json, output.deleted)
    if result["missing"]:
        raise typer.Exit(3 if result["deleted"] else 1)


@collections_app.command("list")
def list_collections(context: typer.Context, as_json: AsJson = False) -> None:
    """List all collections."""
    found = _with_service(context.obj, lambda service: service.collections())
    collections = [output.plain(collection) for collection in found]
    output.show({"collections": collections}, as_json, output.collections)


@collections_app.command("delete")
def delete_collection(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Collection to delete.")],
    as_json: AsJson = False,
) -> None:
    """Delete a collection: its index and its original files."""
    _with_service(context.obj, lambda service: service.drop_collection(name))
    output.show({"deleted": [name], "missing": []}, as_json, output.deleted)


@collections_app.command("rebuild")
def rebuild_collection(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Collection to build anew.")],
    as_json: AsJson = False,
) -> None:
    """Build a collection anew from its originals, with the present settings."""
    with output.progress() as tell:
        report = _with_service(context.obj, lambda service: service.rebuild_collection(name, tell))
    output.show(report.as_dict(name), as_json, output.ingest_report)


@app.command()
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
    as_json: AsJson = False,
) -> None:
    """Show the passages that a question finds."""
    settings = _with_encoder(context.obj, encoder)
    options = _options(
        retriever=retriever, fusion=fusion, weight=weight, rewrite=rewrite, rerank=rerank,
        top_k=top_k, sources=tuple(source or ()),
    )  # fmt: skip
    name = collection or settings.collection
    found = _with_service(settings, lambda service: service.search(name, query, options))
    output.show(found.as_dict(), as_json, output.hits)


@app.command()
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
    as_json: AsJson = False,
) -> None:
    """Answer a question, with citations."""
    settings = _with_encoder(context.obj, encoder)
    options = _options(
        retriever=retriever, fusion=fusion, weight=weight, rewrite=rewrite, rerank=rerank,
        reader=reader, top_k=top_k, sources=tuple(source or ()),
    )  # fmt: skip
    name = collection or settings.collection

    async def answer(service: Any) -> Any:
        from rag_app.results import Answer

        async for event in service.ask(name, question, (), options):
            if isinstance(event, Answer):
                return event
            output.stream(event, as_json)
        raise ApplicationError("the reader ended without an answer", way_out="Ask again")

    output.show(_with_service(settings, answer).as_dict(), as_json, output.citations)


@app.command()
def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Try every part with a real call, and say what to do about those that fail."""
    from rag_app.doctor import examine

    probes = asyncio.run(examine(context.obj))
    output.show({"probes": [output.plain(probe) for probe in probes]}, as_json, output.probes)
    if not all(probe.ok for probe in probes):
        raise typer.Exit(1)


@config_app.command("show")
def show_config(context: typer.Context, as_json: AsJson = False) -> None:
    """Print the settings in force, with what each means; secrets are masked."""
    output.show(context.obj.model_dump(mode="json"), as_json, output.config)


def main() -> None:
    """Entry point of the command `rag-app`."""
    telemetry.silence()
    for entry in entry_points(group=GROUP):
        entry.load()(app)
    try:
        app()
    except SettingsError as error:
        _fail(error, 2)
    except EXPECTED as error:
        _fail(error, 1)
    except _Interrupted:
        _fail("interrupted; running the same command again goes on from there", 130)
    except OSError as error:  # a full disk, a folder that may not be written
        _fail(error, 1)


class _Interrupted(Exception):
    """Ctrl-C, under a name that typer lets through."""


def _fail(error: object, status: int) -> None:
    sys.stderr.write(f"rag-app: {error}\n")
    sys.exit(status)


def _with_encoder(settings: Settings, name: str | None) -> Settings:
    return override(settings, {"encoder": {"name": name}})


def _options(**chosen: Any) -> Any:
    from pydantic import ValidationError

    from rag_app.service import QueryOptions

    try:
        return QueryOptions(**chosen)
    except ValidationError as error:
        first = error.errors()[0]
        flag = str(first["loc"][0]).replace("_", "-")
        raise SettingsError(f"--{flag} {first['input']!r} is not valid. {first['msg']}") from None


def _with_service(settings: Settings, work: Callable[[Any], Awaitable[T]]) -> T:
    """Open the application, do one thing with it, close it."""
    from rag_app.assembly import open_service

    async def run() -> T:
        service = open_service(settings)
        try:
            return await work(service)
        finally:
            await service.close()

    try:
        return asyncio.run(run())
    except KeyboardInterrupt:
        raise _Interrupted from None
