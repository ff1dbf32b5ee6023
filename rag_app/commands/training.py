"""`train`: an encoder on examples, into the registry; or a reranker beside it."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rag_app.assembly.encoders import EncoderChoice, choose
from rag_app.commands import output
from rag_app.commands.common import Accept, AsJson, accepted
from rag_app.errors import SettingsError
from rag_app.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="Folder or file of `rag-app synthesize`.")],
    name: Annotated[str, typer.Option(help="Name of the new row of the registry.")],
    kind: Annotated[
        Literal["encoder", "reranker"], typer.Option(help="What is trained; reranker: pairs.")
    ] = "encoder",
    encoder: Annotated[str, typer.Option(help="Row that is trained.")] = "minilm",
    start: Annotated[
        str, typer.Option("--from", help="reranker: folder or hub id; none: the encoder's weights.")
    ] = "",
    preset: Annotated[
        str | None, typer.Option(help="laptop (without it), reasonir or reason-embed.")
    ] = None,
    method: Annotated[
        Literal["infonce", "redapter"] | None, typer.Option(help="In place of the preset's.")
    ] = None,
    lora: Annotated[
        bool | None, typer.Option("--lora/--full", help="Adapters that are merged, or all weights.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(min=0.01)] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Examples a step.")] = None,
    negatives: Annotated[int | None, typer.Option(min=0, help="Hard negatives a query.")] = None,
    rate: Annotated[float | None, typer.Option(min=0, help="Highest learning rate.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0.001)] = None,
    length: Annotated[int | None, typer.Option(min=8, help="Tokens kept of a text.")] = None,
    keep: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the trained weights in the result.")
    ] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    accept_license: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Train an encoder, or a reranker, on examples; interrupted, the same command goes on."""
    from rag_app.assembly import trained
    from retrieval.training import encoder as training
    from retrieval.training import examples

    given: dict[str, Any] = {
        "preset": preset, "method": method, "lora": lora, "epochs": epochs,
        "batch_size": batch_size, "negatives": negatives, "rate": rate,
        "temperature": temperature, "length": length, "keep": keep, "seed": seed,
    }  # fmt: skip
    chosen = {key: value for key, value in given.items() if value is not None}
    if kind == "reranker":
        settings = context.obj if start else accepted(context.obj, encoder, accept_license)
        _train_reranker(settings, data, name, start, encoder, chosen, as_json)
        return
    if start:
        raise SettingsError("--from is not for an encoder", hint="--encoder names what is trained")
    settings = accepted(context.obj, encoder, accept_license)
    out = trained.folder(settings, name)
    if (out / training.ROW_FILE).is_file():
        raise SettingsError(
            f"there is an encoder {name} already", hint=f"Choose another name, or delete {out}"
        )
    preset = chosen.pop("preset", "laptop")
    if preset not in training.PRESETS:
        known = ", ".join(training.PRESETS)
        raise SettingsError(f"--preset {preset!r} is not valid", hint=f"Choose one of {known}")
    plan = replace(training.PRESETS[preset], **chosen)
    choice = choose(settings, encoder)
    began = time.monotonic()
    row = training.train(
        choice.row, start_of(choice), examples.read(data), plan, out, name, on_step
    )
    document = {
        "encoder": row.name,
        "trained_from": encoder,
        "folder": str(out),
        "weights": row.revision,
        "minutes": round((time.monotonic() - began) / 60, 2),
    }
    output.show(document, as_json, _print)


def _train_reranker(
    settings: Settings,
    data: Path,
    name: str,
    start: str,
    encoder: str,
    chosen: dict[str, Any],
    as_json: bool,
) -> None:
    from rag_app.assembly import trained
    from retrieval.encoders.local.checkpoint import hub_folder, local_folder, require_files
    from retrieval.training import examples
    from retrieval.training import reranker as training

    if useless := sorted(set(chosen) - set(training.SETTINGS)):
        raise SettingsError(
            f"--{useless[0]} is not for a reranker", hint="Leave it out, or train an encoder"
        )
    out = trained.folder(settings, name, trained.RERANKERS)
    if (out / "README.md").is_file():
        raise SettingsError(
            f"there is a reranker {name} already", hint=f"Choose another name, or delete {out}"
        )
    if start:
        there = local_folder(start)
        origin = require_files(there) if there else hub_folder(start, "main")
    else:
        origin = start_of(choose(settings, encoder))
    began = time.monotonic()
    plan = replace(training.LAPTOP, **chosen)
    weights = training.train(origin, examples.read(data), plan, out, name, on_step)
    document = {
        "reranker": name,
        "trained_from": start or encoder,
        "folder": str(out),
        "weights": weights,
        "minutes": round((time.monotonic() - began) / 60, 2),
    }
    output.show(document, as_json, _print_reranker)


def start_of(choice: EncoderChoice) -> Path:
    """The folder of an encoder's files, from which training starts."""
    from retrieval.encoders.local.checkpoint import hub_folder, local_folder, require_files
    from retrieval.encoders.minilm_graph import model_folder

    if choice.row.name == "minilm" and not choice.run.model:
        return model_folder()
    model = choice.run.model or choice.row.model_id
    there = local_folder(model)
    return require_files(there) if there else hub_folder(model, choice.row.revision)


def on_step(step: int, steps: int, loss: float) -> None:
    """Tell of progress on stderr."""
    if step == 1 or step % 10 == 0 or step == steps:
        sys.stderr.write(f"step {step} of {steps}, loss {loss:.4f}\n")


def _print(document: Any) -> None:
    typer.echo(
        f"Encoder {document['encoder']} was trained in {document['minutes']} minutes, and lies in "
        f"{document['folder']}.\nUse it: rag-app indexes build --encoder {document['encoder']}"
    )


def _print_reranker(document: Any) -> None:
    typer.echo(
        f"Reranker {document['reranker']} was trained in {document['minutes']} minutes. Use it:\n"
        f"RAG_APP_RERANK__KIND=cross-encoder RAG_APP_RERANK__MODEL={document['folder']}"
    )
