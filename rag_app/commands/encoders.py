"""`encode`, `encoders`, `golden` and `serve-command`: the encoders by themselves."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rag_app.assembly.encoders import choose, rows
from rag_app.commands import output
from rag_app.commands.common import Accept, AsJson, EncoderName, accepted
from rag_app.errors import ApplicationError
from rag_app.settings import override

Model = Annotated[
    str | None, typer.Option(help="Local folder, or hub id, in place of the row's model.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(encode)
    app.command("encoders")(list_encoders)
    app.command()(golden)
    app.command("serve-command")(serve_command)


def encode(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    texts: Annotated[list[str], typer.Argument(help="What to encode.")],
    encoder: EncoderName = None,
    model: Model = None,
    role: Annotated[
        Literal["query", "passage"], typer.Option("--as", help="As a query or as a passage.")
    ] = "passage",
    instruction: Annotated[
        str | None,
        typer.Option(help="Instruction of a query; the empty one leaves templates away."),
    ] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens kept of a text.")] = None,
    accept_license: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Print the vectors of texts."""
    from rag_app.assembly.components import encoder as make

    run = {
        "model": model,
        "instruction": instruction,
        "passage_length": max_length,
        "query_length": max_length,
    }
    name = encoder or context.obj.encoder.name
    settings = override(context.obj, {"encoders": {name: run}})
    made = make(accepted(settings, name, accept_license), name)
    try:
        encoded = (made.encode_queries if role == "query" else made.encode_passages)(texts)
        document = {
            "vectors": encoded.vectors.tolist(),
            "encoder": made.row.name,
            "fingerprint": made.fingerprint,
            "tokens": encoded.tokens,
            "truncated": encoded.truncated,
        }
    finally:
        made.close()
    output.show(document, as_json, output.vectors)


def list_encoders(context: typer.Context, as_json: AsJson = False) -> None:
    """List the encoders there are, with licence and published quality."""
    listed = [row.model_dump(mode="json") for row in rows(context.obj)]
    output.show({"encoders": listed}, as_json, output.encoders)


def golden(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="File to write.")],
    encoder: EncoderName = None,
    model: Model = None,
    accept_license: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Write vectors that a served encoder can be checked against (setting `golden`)."""
    from rag_app.assembly.components import encoder as make
    from retrieval.encoders import golden as vectors

    name = encoder or context.obj.encoder.name
    settings = override(context.obj, {"encoders": {name: {"model": model}}})
    made = make(accepted(settings, name, accept_license), name)
    try:
        found = vectors.make(made)
    finally:
        made.close()
    try:
        found.save(out)
    except OSError as error:
        raise ApplicationError(
            f"{out} cannot be written", cause=(error.strerror or str(error)).lower()
        ) from None
    document: dict[str, Any] = {"file": str(out), "encoder": made.row.name}
    output.show(document, as_json, output.written)


def serve_command(
    context: typer.Context,
    encoder: Annotated[str, typer.Argument(help="Row of the encoder registry.")],
    model: Model = None,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8001,
    as_json: AsJson = False,
) -> None:
    """Print the command by which vLLM serves an encoder exactly."""
    from retrieval.encoders.remote import serving

    choice = choose(context.obj, encoder)
    lengths = {"passage_length": choice.passage_length, "query_length": choice.query_length}
    row = choice.row.model_copy(update=lengths)
    recipe = serving.serve_command(row, model or choice.run.model, port=port)
    document = {"command": recipe.shell(), **output.plain(recipe)}
    output.show(document, as_json, output.recipe)
