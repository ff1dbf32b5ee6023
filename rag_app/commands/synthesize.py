"""`synthesize`: training data of a collection."""

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from rag_app.commands import output
from rag_app.commands.common import AsJson, InCollection, with_service
from rag_app.settings import Settings

Out = Annotated[Path, typer.Option(help="Folder of the result.")]
Exclude = Annotated[
    list[Path] | None,
    typer.Option(help="JSONL of evaluation questions (question, query or text) to keep out."),
]
_MEASURED = 200
"""Queries of which the retrievers' errors are measured."""

_synthesize = typer.Typer(no_args_is_help=True, help="Make training data of a collection.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_synthesize, name="synthesize")


@_synthesize.command()
def audit(
    context: typer.Context, out: Out, collection: InCollection = None, as_json: AsJson = False
) -> None:
    """Tell which documents are worth training on: length, repetition, density."""
    from rag_app.synthesis import audit as auditing
    from rag_app.synthesis import collection as reading

    settings: Settings = context.obj
    name = collection or settings.collection

    async def work(service: Any) -> list[Any]:
        return [one async for one in reading.passages(service, name)]

    findings = auditing.audit(with_service(settings, work))
    document = {
        "collection": name,
        "documents": len(findings),
        "worth": sum(not one.reason for one in findings),
        "findings": [asdict(one) for one in findings],
    }
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "audit.json", document)
    output.show(document, as_json, _print_audit)


@_synthesize.command()
def pairs(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    out: Out,
    collection: InCollection = None,
    limit: Annotated[int, typer.Option(min=1, help="Most examples.")] = 5000,
    kinds: Annotated[
        str, typer.Option(help="heading, sentence, cloze, glossary, table, list; all without it.")
    ] = "",
    negatives: Annotated[int, typer.Option(min=0, help="Hard negatives of a query.")] = 8,
    exclude: Exclude = None,
    seed: Annotated[int, typer.Option()] = 0,
    as_json: AsJson = False,
) -> None:
    """Make queries of the documents' own structure, without a language model."""
    from rag_app.errors import SettingsError
    from retrieval.training import examples
    from retrieval.training.pairs import KINDS

    settings: Settings = context.obj
    name = collection or settings.collection
    wanted = [one.strip() for one in kinds.split(",") if one.strip()] or list(KINDS)
    if not set(wanted) <= set(KINDS):
        raise SettingsError(f"--kinds {kinds!r} is not valid", hint=f"Known: {', '.join(KINDS)}")
    questions = [text for path in exclude or () for text in _questions(path)]

    async def work(service: Any) -> tuple[list[Any], dict[str, Any]]:
        return await _pairs(service, name, wanted, limit, negatives, questions, seed)

    made, report = with_service(settings, work)
    out.mkdir(parents=True, exist_ok=True)
    examples.write(out / examples.TRAIN_FILE, made)
    _write(out / "report.json", report)
    output.show(report | {"file": str(out / examples.TRAIN_FILE)}, as_json, _print_pairs)


async def _pairs(
    service: Any,
    name: str,
    kinds: list[str],
    limit: int,
    negatives: int,
    questions: list[str],
    seed: int,
) -> tuple[list[Any], dict[str, Any]]:
    from data.sentences import split_sentences
    from rag_app.service import QueryOptions
    from rag_app.synthesis import audit as auditing
    from rag_app.synthesis import collection as reading
    from rag_app.synthesis import filters
    from retrieval.analysis import Analyzer
    from retrieval.training import pairs as making

    found = [one async for one in reading.passages(service, name)]
    worth = {one.document for one in auditing.audit(found) if not one.reason}

    def sentences(text: str) -> list[str]:
        return [text[start:end] for start, end in split_sentences(text)]

    dropped: Counter[str] = Counter()
    candidates = making.make([one for one in found if one.document in worth], sentences, kinds)
    kept = list(filters.uncontaminated(filters.distinct(candidates, dropped), questions, dropped))
    chosen = random.Random(seed).sample(kept, min(limit, len(kept)))  # noqa: S311 - no secret
    if negatives:
        chosen = [
            await reading.with_negatives(service, name, one, keep=negatives) for one in chosen
        ]
    measured = chosen[:_MEASURED]
    errors = {}
    for retriever in ("bm25", "dense"):
        options = QueryOptions(retriever=retriever, top_k=1)
        hits = [(await service.search(name, one.query, options)).hits for one in measured]
        errors[retriever] = round(reading.error_rate(measured, hits), 4)
    terms = Analyzer("none")
    overlaps = [filters.overlap(one, terms) for one in chosen]
    return chosen, {
        "collection": name,
        "examples": len(chosen),
        "kinds": dict(Counter(one.kind for one in chosen)),
        "negatives": sum(len(one.neg) for one in chosen),
        "dropped": dict(dropped) | {"beyond the limit": len(kept) - len(chosen)},
        "documents_left_out": len({one.document for one in found} - worth),
        "overlap": round(sum(overlaps) / max(1, len(overlaps)), 4),
        "error_rate": errors,
    }


def _questions(path: Path) -> list[str]:
    from rag_app.errors import SettingsError

    try:
        records = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]
        return [str(one.get("question") or one.get("query") or one["text"]) for one in records]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"--exclude {path} cannot be read",
            cause=str(error),
            hint="Give JSON objects, one a line, with question, query or text",
        ) from error


def _write(path: Path, document: Mapping[str, Any]) -> None:
    from data.files import replacing

    with replacing(path) as file:
        file.write(json.dumps(document, ensure_ascii=False, indent=1).encode())


def _print_audit(document: Mapping[str, Any]) -> None:
    for one in document["findings"]:
        verdict = one["reason"] or "worth it"
        typer.echo(f"{output.harmless(one['document'])}: {one['words']} words, {verdict}")
    typer.echo(f"{document['worth']} of {document['documents']} documents are worth training on.")


def _print_pairs(document: Mapping[str, Any]) -> None:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(document["kinds"].items()))
    typer.echo(f"{document['examples']} examples ({kinds}) in {document['file']}")
    for reason, count in document["dropped"].items():
        if count:
            typer.echo(f"left out as {reason}: {count}")
    rates = ", ".join(f"{name} {100 * rate:.0f} %" for name, rate in document["error_rate"].items())
    typer.echo(
        f"first hit wrong: {rates}; words shared with the positive: {document['overlap']:.2f}"
    )
