"""`doctor` and `config`: whether it works, and how it is set."""

import asyncio
import gc
import logging
import os
import sys
from typing import Annotated

import typer

from rag_app.commands import output
from rag_app.commands.common import AsJson
from rag_app.probes.base import DEADLINE

_config = typer.Typer(no_args_is_help=True, help="Show the settings in force.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(doctor)
    app.add_typer(_config, name="config")


def doctor(
    context: typer.Context,
    deadline: Annotated[
        float, typer.Option(min=1, max=600, help="Seconds in which every part has to answer.")
    ] = DEADLINE,
    as_json: AsJson = False,
) -> None:
    """Try every part with a real call, and say what to do about those that fail."""
    from rag_app.probes.doctor import examine

    gc.disable()  # in a process of seconds, it would take a third of what the imports take
    if context.obj.log_level == "WARNING":  # the probes say the same, with a hint
        logging.getLogger().setLevel(logging.ERROR)
    # not asyncio.run: it would wait for the threads of calls that hang
    found = asyncio.new_event_loop().run_until_complete(examine(context.obj, deadline))
    output.show(output.plain(found), as_json, output.probes)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if found.ok else 1)  # nor does this wait


@_config.command("show")
def show_config(context: typer.Context, as_json: AsJson = False) -> None:
    """Print the settings in force, with what each means; secrets are masked."""
    from rag_app.assembly.defaults import in_force

    output.show(in_force(context.obj), as_json, output.config)


@_config.command("env")
def environment(context: typer.Context) -> None:
    """Print every setting as a variable for a `.env` file; secrets are left empty."""
    from rag_app.commands.environment_file import template

    typer.echo(template(context.obj), nl=False)
