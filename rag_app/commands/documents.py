"""`ingest`, `documents` and `collections`: what is held."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from data.components import LOADERS
from data.names import is_address
from data.rendering import as_markdown, as_text
from rag_app.commands import output
from rag_app.commands.common import (
    Accept,
    AsJson,
    EncoderName,
    InCollection,
    accepted,
    show_ingestion,
    with_service,
)
from rag_app.errors import ApplicationError
from rag_app.settings import Settings, override

_KINDS = ", ".join(LOADERS)
_documents = typer.Typer(no_args_is_help=True, help="List, show, read anew and delete documents.")
_collections = typer.Typer(
    no_args_is_help=True, help="List, create, rename, delete and rebuild collections."
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(ingest)
    app.add_typer(_documents, name="documents")
    app.add_typer(_collections, name="collections")


def ingest(
    context: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(help=f"Files, folders and http(s) addresses; what is read: {_KINDS}."),
    ],
    collection: InCollection = None,
    encoder: EncoderName = None,
    engine: Annotated[
        str | None, typer.Option(help="Where the work is done: local, or ray (a cluster).")
    ] = None,
    sync: Annotated[
        bool, typer.Option("--sync", help="Remove documents of these folders that are gone there.")
    ] = False,
    accept_license: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Ingest files, folders and addresses into a collection; run again to resume or update."""
    settings = accepted(context.obj, encoder, accept_license)
    settings = override(settings, {"ingest": {"engine": engine}})
    name = collection or settings.collection
    show_ingestion(
        settings,
        name,
        lambda service, on_progress: _ingest(service, on_progress, name, sources, encoder, sync),
        as_json,
    )


async def _ingest(
    service: Any,
    on_progress: Any,
    collection: str,
    sources: list[str],
    encoder: str | None,
    sync: bool,
) -> Any:
    """The report of all: an address that gives nothing is one of its failures."""
    from rag_app.results import Failure, IngestReport

    if not all(map(str.strip, sources)):
        raise ApplicationError(
            "one of the paths is empty",
            cause="it would be the folder that this command runs in",
            hint="Check the variable that it stands in, or write `.` for this folder",
        )
    addresses = [source for source in sources if is_address(source)]
    paths = [Path(source) for source in sources if not is_address(source)]
    report = IngestReport()
    if paths:
        report = await service.ingest(collection, paths, on_progress, encoder, sync)
    for address in addresses:
        try:
            report.add(await service.add_address(collection, address, on_progress, encoder))
        except ApplicationError as error:
            report.failures.append(Failure(address, error.cause or error.message))
    return report


@_documents.command("list")
def list_documents(
    context: typer.Context, collection: InCollection = None, as_json: AsJson = False
) -> None:
    """List the documents of a collection."""
    settings: Settings = context.obj
    name = collection or settings.collection
    found = with_service(settings, lambda service: service.documents(name))
    documents = [output.plain(document) for document in found]
    output.show({"collection": name, "documents": documents}, as_json, output.documents)


@_documents.command("show")
def show_document(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Name as `documents list` shows it.")],
    page: Annotated[int | None, typer.Option(min=1, help="One page, slide or sheet of it.")] = None,
    form: Annotated[
        Literal["blocks", "text", "markdown"],
        typer.Option("--as", help="blocks, the text that passages are cut from, or Markdown."),
    ] = "markdown",
    collection: InCollection = None,
    as_json: AsJson = False,
) -> None:
    """Show what was read of a document, as it was read."""
    settings: Settings = context.obj
    name = collection or settings.collection
    content = with_service(settings, lambda service: service.document(name, source, page))
    shown: dict[str, Any] = {
        "collection": name,
        "source": source,
        "page": page,
        "warnings": [output.plain(warning) for warning in content.warnings],
    }
    if form == "blocks":
        shown["blocks"] = [output.plain(block) for block in content.blocks]
    else:
        shown["text"] = (as_text if form == "text" else as_markdown)(content.blocks)
    output.show(shown, as_json, output.document)


@_documents.command("reingest")
def reingest_documents(
    context: typer.Context,
    sources: Annotated[
        list[str] | None, typer.Argument(help="Names as `documents list` shows them; none for all.")
    ] = None,
    collection: InCollection = None,
    as_json: AsJson = False,
) -> None:
    """Read documents anew from the originals that are kept."""
    settings: Settings = context.obj
    name = collection or settings.collection
    show_ingestion(
        settings,
        name,
        lambda service, on_progress: service.reingest(name, sources or (), on_progress),
        as_json,
    )


@_documents.command("delete")
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

    result = with_service(settings, delete)
    output.show({"collection": name, **result}, as_json, output.deleted)
    if result["missing"]:
        raise typer.Exit(3 if result["deleted"] else 1)


@_collections.command("list")
def list_collections(context: typer.Context, as_json: AsJson = False) -> None:
    """List all collections."""
    found = with_service(context.obj, lambda service: service.collections())
    collections = [output.plain(collection) for collection in found]
    output.show({"collections": collections}, as_json, output.collections)


@_collections.command("create")
def create_collection(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Collection to make.")],
    as_json: AsJson = False,
) -> None:
    """Make an empty collection; `ingest` makes one by itself, too."""
    with_service(context.obj, lambda service: service.create_collection(name))
    output.show({"created": name}, as_json, output.created)


@_collections.command("rename")
def rename_collection(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Collection to rename.")],
    to: Annotated[str, typer.Argument(help="Its other name.")],
    as_json: AsJson = False,
) -> None:
    """Call a collection by another name."""
    with_service(context.obj, lambda service: service.rename_collection(name, to))
    output.show({"renamed": name, "to": to}, as_json, output.renamed)


@_collections.command("delete")
def delete_collection(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Collection to delete.")],
    as_json: AsJson = False,
) -> None:
    """Delete a collection: its indexes and its original files."""
    with_service(context.obj, lambda service: service.drop_collection(name))
    output.show({"deleted": [name], "missing": []}, as_json, output.deleted)


@_collections.command("repair")
def repair_collection(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Collection to repair.")],
    as_json: AsJson = False,
) -> None:
    """Read all of a damaged collection, and build what is damaged anew from its originals."""
    show_ingestion(
        context.obj,
        name,
        lambda service, on_progress: service.repair_collection(name, on_progress),
        as_json,
    )


@_collections.command("rebuild")
def rebuild_collection(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Collection to build anew.")],
    as_json: AsJson = False,
) -> None:
    """Build a collection anew from its originals, with the present settings."""
    show_ingestion(
        context.obj,
        name,
        lambda service, on_progress: service.rebuild_collection(name, on_progress),
        as_json,
    )
