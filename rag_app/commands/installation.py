"""`doctor` and `config`: whether it works, and how it is set."""

import asyncio

import typer

from rag_app import output
from rag_app.commands.common import AsJson

_config = typer.Typer(no_args_is_help=True, help="Show the settings in force.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(doctor)
    app.add_typer(_config, name="config")


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Try every part with a real call, and say what to do about those that fail."""
    from rag_app.doctor import examine

    probes = asyncio.run(examine(context.obj))
    output.show({"probes": [output.plain(probe) for probe in probes]}, as_json, output.probes)
    if not all(probe.ok for probe in probes):
        raise typer.Exit(1)


@_config.command("show")
def show_config(context: typer.Context, as_json: AsJson = False) -> None:
    """Print the settings in force, with what each means; secrets are masked."""
    output.show(context.obj.model_dump(mode="json"), as_json, output.config)


@_config.command("env")
def environment(context: typer.Context) -> None:
    """Print every setting as a variable for a `.env` file; secrets are left empty."""
    from rag_app.environment_file import template

    typer.echo(template(context.obj), nl=False)
