"""What commands share: their options, and how they reach the application."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from rag_app.assembly.encoders import LicenceNotAccepted, choose
from rag_app.commands import output
from rag_app.errors import SettingsError
from rag_app.settings import Settings, override

if TYPE_CHECKING:
    from rag_app.results import IngestReport, OnProgress

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
InCollection = Annotated[
    str | None, typer.Option("--collection", "-c", help="Collection; the settings name a default.")
]
EncoderName = Annotated[str | None, typer.Option("--encoder", help="Row of the encoder registry.")]
Accept = Annotated[
    bool, typer.Option("--accept-license", help="Accept the encoder's restricted licence.")
]

READ_AGAIN: Final = "rag_app.read_again"
"""Where a command's context keeps what reads the settings anew."""


class Interrupted(Exception):
    """Ctrl-C, under a name that typer lets through."""


def accepted(settings: Settings, name: str | None, accept: bool) -> Settings:
    """Settings in which the encoder's licence is accepted, by flag or by a person who is asked.

    Raises:
        LicenceNotAccepted: it is restricted, and nobody is there, or the person says no.
        SettingsError: there is no such encoder.
    """
    choice = choose(settings, name)
    name = choice.row.name
    if not choice.row.restricted:
        return settings
    try:
        if not accept:
            choice.require_accepted()
    except LicenceNotAccepted as refusal:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        typer.echo(f"{refusal.message}: {refusal.cause}", err=True)
        if not typer.confirm("Do you accept them?", err=True):
            raise
    else:
        typer.echo(f"encoder {name}: licence {choice.row.licence}", err=True)
    return override(settings, {"encoders": {name: {"accept_license": True}}})


def with_service(settings: Settings, work: Callable[[Any], Awaitable[T]]) -> T:
    """Open the application, do one thing with it, close it."""
    from rag_app.assembly.opening import open_service

    async def run() -> T:
        service = open_service(settings)
        try:
            return await work(service)
        finally:
            await service.close()

    return until_done(run())


def until_done(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; Ctrl-C is `Interrupted`, a name that typer lets through."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise Interrupted from None


def show_ingestion(
    settings: Settings,
    collection: str,
    work: "Callable[[Any, OnProgress | None], Awaitable[IngestReport]]",
    as_json: bool,
) -> None:
    """Do what indexes documents, with its progress; show the report. Some failed: status 3."""
    with output.progress() as on_progress:
        report = with_service(settings, lambda service: work(service, on_progress))
    output.show(report.as_dict(collection), as_json, output.ingest_report)
    if report.failures:
        raise typer.Exit(3)


def query_options(**chosen: Any) -> Any:
    """`QueryOptions` of flags; raises SettingsError naming the flag that is not valid."""
    from pydantic import ValidationError

    from rag_app.service import QueryOptions

    try:
        return QueryOptions(**chosen)
    except ValidationError as error:
        first = error.errors()[0]
        flag = str(first["loc"][0]).replace("_", "-")
        raise SettingsError(f"--{flag} {first['input']!r} is not valid. {first['msg']}") from None
