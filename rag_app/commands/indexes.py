"""`indexes`: several encoders over the documents of one collection."""

from typing import Annotated

import typer

from rag_app.commands import output
from rag_app.commands.common import (
    Accept,
    AsJson,
    InCollection,
    accepted,
    show_ingestion,
    with_service,
)
from rag_app.settings import Settings

Encoder = Annotated[str, typer.Option("--encoder", help="Row of the encoder registry.")]
Index = Annotated[str, typer.Argument(help="An encoder, or a fingerprint where it has several.")]

_indexes = typer.Typer(
    no_args_is_help=True, help="Build, list, choose and drop a collection's indexes."
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_indexes, name="indexes")


@_indexes.command("list")
def list_indexes(
    context: typer.Context, collection: InCollection = None, as_json: AsJson = False
) -> None:
    """List the indexes of a collection, one for each encoder."""
    settings: Settings = context.obj
    name = collection or settings.collection
    found = with_service(settings, lambda service: service.indexes(name))
    indexes = [output.plain(index) for index in found]
    output.show({"collection": name, "indexes": indexes}, as_json, output.indexes)


@_indexes.command("build")
def build_index(
    context: typer.Context,
    encoder: Encoder,
    collection: InCollection = None,
    accept_license: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Build an encoder's index from the collection's originals, or bring it up to date."""
    settings = accepted(context.obj, encoder, accept_license)
    name = collection or settings.collection
    show_ingestion(
        settings,
        name,
        lambda service, on_progress: service.build_index(name, encoder, on_progress),
        as_json,
    )


@_indexes.command("use")
def use_index(
    context: typer.Context, index: Index, collection: InCollection = None, as_json: AsJson = False
) -> None:
    """Let the collection's name stand for this index where settings name no other."""
    settings: Settings = context.obj
    name = collection or settings.collection
    with_service(settings, lambda service: service.use_index(name, index))
    output.show({"collection": name, "in_use": index}, as_json, output.in_use)


@_indexes.command("drop")
def drop_index(
    context: typer.Context, index: Index, collection: InCollection = None, as_json: AsJson = False
) -> None:
    """Delete an index; the documents and the other indexes stay."""
    settings: Settings = context.obj
    name = collection or settings.collection
    with_service(settings, lambda service: service.drop_index(name, index))
    output.show({"deleted": [index], "missing": []}, as_json, output.deleted)
