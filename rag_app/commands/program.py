"""All commands of `rag-app` over `rag_app.service.Service`, and the options of each of them.

Human-readable on a terminal, one JSON document on stdout with `--json`; progress and logs on
stderr. Exit status: 0 done, 1 failed, 2 wrong usage, 3 done with some items failed. Packages above
this one add their commands through the entry-point group `rag_app.commands`.
"""

import sys
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from data.errors import RagAppError
from data.exports import require
from data.telemetry import silence
from rag_app.commands import (
    backups,
    chats,
    cost,
    documents,
    encoders,
    indexes,
    installation,
    keys,
    output,
    questions,
    recipes,
    synthesize,
    training,
    users,
)
from rag_app.commands.common import READ_AGAIN, Accept, Interrupted
from rag_app.errors import SettingsError
from rag_app.settings import load_settings

GROUP = "rag_app.commands"

app = typer.Typer(
    name="rag-app",
    help="Answers questions over your own documents, with evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for subject in (
    documents,
    questions,
    indexes,
    backups,
    chats,
    encoders,
    cost,
    recipes,
    installation,
    keys,
    synthesize,
    training,
    users,
):
    subject.register(app)


@app.callback()
def _settings(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Settings file (TOML).")] = None,
    profile: Annotated[str | None, typer.Option(help="laptop, gpu or cluster.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Published pipeline; `recipes list` shows them.")
    ] = None,
    accept_license: Accept = False,
) -> None:
    """Answers questions over your own documents, with evidence."""
    flags = {"recipe": recipe, "encoder": {"accept_license": accept_license or None}}
    context.meta[READ_AGAIN] = read = partial(load_settings, config, profile, flags)
    context.obj = read()
    output.set_up_logging(context.obj.log_level)


def load() -> None:
    """Add the commands of the packages above; nothing is to phone home from here on."""
    silence()
    for entry in entry_points(group=GROUP):
        if entry.dist is not None and entry.dist.name == "rag-app":
            try:
                require(entry.module.partition(".")[0])
            except ImportError as error:
                _fail(error, 1)
        entry.load()(app)


def run() -> None:
    """Do what the command line says, and end the process with the status for it."""
    try:
        app()
    except SettingsError as error:
        _fail(error, 2)
    except RagAppError as error:
        _fail(error, 1)
    except Interrupted:
        _fail("interrupted; running the same command again goes on from there", 130)
    except OSError as error:  # a full disk, a folder that may not be written
        _fail(error, 1)


def _fail(error: object, status: int) -> None:
    sys.stderr.write(f"rag-app: {error}\n")
    sys.exit(status)
