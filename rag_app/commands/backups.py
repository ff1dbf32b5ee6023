"""`backup` and `restore`: collections and people as one file, or through a pipe."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import IO, Annotated, Any

import orjson
import typer

from data.files import replacing
from rag_app.commands import output
from rag_app.commands.common import AsJson, with_service
from rag_app.errors import SettingsError

Names = Annotated[
    list[str] | None,
    typer.Option("--collection", "-c", help="Collection; all of them by default. Repeatable."),
]

_PIPE = "-"
_PIECE = 1 << 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="File to write, or - for standard output.")],
    collection: Names = None,
    as_json: AsJson = False,
) -> None:
    """Write collections, with their indexes and original files, into one file (tar).

    Without --collection it holds conversations, users and API keys, too.
    """
    if file == _PIPE:
        _refuse_terminal(sys.stdout, "written to")
        report = _write(context.obj, sys.stdout.buffer, collection)
        # Standard output carries the backup; what is said of it goes beside it.
        shown = _with_file(file, report)
        text = orjson.dumps(shown).decode() if as_json else "\n".join(output.copied_lines(shown))
        sys.stderr.write(output.harmless(text) + "\n")
    else:
        report = _write_file(context.obj, Path(file), collection)
        output.show(_with_file(file, report), as_json, output.copied)
    if report["missing"]:
        raise typer.Exit(3)


def restore(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="File to read, or - for standard input.")],
    collection: Names = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace collections that have the same names.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the collections of a backup again; all of it is checked before anything changes.

    Without --collection, conversations come back, too, and users and keys where there are none.
    """
    if file == _PIPE:
        _refuse_terminal(sys.stdin, "read from")
        report = _read(context.obj, sys.stdin.buffer, collection, replace)
    else:
        with Path(file).open("rb") as stream:
            report = _read(context.obj, stream, collection, replace)
    output.show(_with_file(file, report), as_json, output.copied)


def _write_file(settings: Any, path: Path, names: list[str] | None) -> dict[str, Any]:
    """A file that is whole, or not there; for its owner alone, since it holds all documents."""
    if path.is_dir():
        raise SettingsError(f"{path} is a folder. Name the file to write")
    # what stops a service or a machine ends it as Ctrl-C does, which leaves no unfinished file
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with replacing(path) as stream:
        return _write(settings, stream, names)


def _write(settings: Any, stream: IO[bytes], names: list[str] | None) -> dict[str, Any]:
    async def work(service: Any) -> Any:
        report = None
        async with aclosing(service.backup(names or ())) as pieces:
            async for piece in pieces:
                if isinstance(piece, bytes):
                    await asyncio.to_thread(stream.write, piece)
                else:
                    report = piece
        await asyncio.to_thread(stream.flush)
        return report

    return output.plain(with_service(settings, work))


def _read(
    settings: Any, stream: IO[bytes], names: list[str] | None, replace: bool
) -> dict[str, Any]:
    async def pieces() -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(stream.read, _PIECE):
            yield piece

    async def work(service: Any) -> Any:
        return await service.restore(pieces(), names or (), replace)

    return output.plain(with_service(settings, work))


def _with_file(file: str, report: dict[str, Any]) -> dict[str, Any]:
    return {"file": file, **report, "seconds": round(report["seconds"], 3)}


def _refuse_terminal(stream: Any, what: str) -> None:
    if stream.isatty():
        raise SettingsError(f"a backup is not {what} a terminal. Name a file, or use a pipe")
