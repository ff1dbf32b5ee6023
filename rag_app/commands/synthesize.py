"""`synthesize`: training data of a collection."""

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from rag_app.commands import output
from rag_app.commands.common import AsJson, InCollection, until_done, with_service
from rag_app.settings import Settings

Out = Annotated[Path, typer.Option(help="Folder of the result.")]
Exclude = Annotated[
    list[Path] | None,
    typer.Option(
        help="JSONL of evaluation questions (question, query or text) to keep out, and of what "
        "answers them (document, passage_id, text or gold_ids)."
    ),
]
Limit = Annotated[int, typer.Option(min=1, help="Most passages that queries are made of.")]
Seed = Annotated[int, typer.Option(help="Decides what is sampled.")]
Reasoning = Annotated[
    bool, typer.Option(help="Reason about each query, for Redapter: a call more.")
]
Finder = Annotated[str, typer.Option(help="bm25, dense or hybrid.")]
_MEASURED = 200
"""Queries of which the retrievers' errors are measured."""

_synthesize = typer.Typer(no_args_is_help=True, help="Make training data of a collection.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_synthesize, name="synthesize")


@_synthesize.command()
def audit(
    context: typer.Context,
    out: Out,
    collection: InCollection = None,
    grade: Annotated[
        bool, typer.Option(help="Let the language model grade documents, if one is connected.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Tell which documents are worth training on: length, repetition, density, a model's grade."""
    from rag_app.synthesis import audit as auditing
    from rag_app.synthesis import collection as reading

    settings: Settings = context.obj
    name = collection or settings.collection

    async def work(service: Any) -> list[Any]:
        return [one async for one in reading.passages(service, name)]

    with _writing(out):
        found = with_service(settings, work)
        findings, dropped, asked = auditing.audit(found), Counter[str](), dict[str, Any]()
        if grade and settings.llm.model:

            async def judge(asking: Any) -> list[Any]:
                return await auditing.graded(findings, found, asking, dropped)

            findings, asked = _asking(settings, out, judge)
        document = {
            "collection": name,
            "documents": len(findings),
            "worth": sum(not one.reason for one in findings),
            "findings": [asdict(one) for one in findings],
            "dropped": dict(dropped),
            **asked,
        }
        _write(out / "audit.json", document)
    output.show(document, as_json, _print_audit)
    if asked.get("failed"):
        raise typer.Exit(3)


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

    with _writing(out):
        made, report = with_service(settings, work)
        examples.write(out / examples.TRAIN_FILE, made)
        _write(out / "report.json", report)
    output.show(report | {"file": str(out / examples.TRAIN_FILE)}, as_json, _print_pairs)


@_synthesize.command()
def hq(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    out: Out,
    collection: InCollection = None,
    limit: Limit = 100,
    queries: Annotated[int, typer.Option(min=1, max=10, help="Queries of a passage.")] = 1,
    negatives: Annotated[int, typer.Option(min=0, help="Mined negatives, beside a written.")] = 4,
    retriever: Finder = "hybrid",
    reasoning: Reasoning = False,
    exclude: Exclude = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Let a language model write queries that take reasoning to match with their passage."""
    _generate(
        context.obj, out, collection, limit, exclude, as_json, kind="hq", queries=queries,
        negatives=negatives, retriever=retriever, reasoning=reasoning, seed=seed,
    )  # fmt: skip


@_synthesize.command()
def vl(
    context: typer.Context,
    out: Out,
    collection: InCollection = None,
    limit: Limit = 100,
    reasoning: Reasoning = False,
    exclude: Exclude = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Let a language model write requests of 300 to 2,000 words, positives and negatives."""
    _generate(
        context.obj, out, collection, limit, exclude, as_json, kind="vl", reasoning=reasoning,
        seed=seed,
    )  # fmt: skip


@_synthesize.command()
def remixer(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    out: Out,
    collection: InCollection = None,
    limit: Limit = 100,
    candidates: Annotated[int, typer.Option(min=2, max=1000, help="Judged for a query.")] = 20,
    retriever: Finder = "hybrid",
    reasoning: Reasoning = True,
    exclude: Exclude = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Let a language model write posts, and judge what a retriever finds for them elsewhere."""
    _generate(
        context.obj, out, collection, limit, exclude, as_json, kind="remixer",
        candidates=candidates, retriever=retriever, reasoning=reasoning, seed=seed,
    )  # fmt: skip


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """The folder of the result, made, and kept from another run meanwhile."""
    from data.files import held
    from rag_app.errors import SettingsError

    out.mkdir(parents=True, exist_ok=True)
    busy = SettingsError(
        f"another command writes to {out}", hint="Wait for it, or name another --out"
    )
    with held(out, busy):
        yield


def _generate(
    settings: Settings,
    out: Path,
    collection: str | None,
    limit: int,
    exclude: list[Path] | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Make examples, and show what became of every answer; status 3 where calls failed."""
    from rag_app.errors import SettingsError
    from rag_app.synthesis import generation
    from retrieval.training import examples

    name = collection or settings.collection
    if chosen.get("retriever", "hybrid") not in {"bm25", "dense", "hybrid"}:
        raise SettingsError(
            f"--retriever {chosen['retriever']!r} is not valid", hint="Known: bm25, dense, hybrid"
        )
    plan = generation.Plan(
        **chosen,
        questions=[text for path in exclude or () for text in _questions(path)],
        gold=frozenset(one for path in exclude or () for one in _gold(path)),
        concurrency=settings.llm.concurrency,
    )

    async def work(asking: Any, service: Any) -> tuple[list[Any], dict[str, Any]]:
        return await _made(service, name, plan, limit, asking)

    with _writing(out):
        (made, report), asked = _asking(settings, out, work, with_application=True)
        examples.write(out / examples.TRAIN_FILE, made)
        report |= asked
        _write(out / "report.json", report)
    output.show(report | {"file": str(out / examples.TRAIN_FILE)}, as_json, _print_made)
    if asked["failed"]:
        raise typer.Exit(3)


async def _made(
    service: Any, name: str, plan: Any, limit: int, asking: Any
) -> tuple[list[Any], dict[str, Any]]:
    from rag_app.synthesis import audit as auditing
    from rag_app.synthesis import collection as reading
    from rag_app.synthesis import generation

    found = [one async for one in reading.passages(service, name)]
    worth = {one.document for one in auditing.audit(found) if not one.reason}
    left_out: Counter[str] = Counter()
    chosen = generation.seeds(found, worth, plan, limit, left_out)
    result = await generation.generate(service, name, chosen, plan, asking)
    # A written positive is not in the collection, where no retriever can find it.
    measures = await _triviality(service, name, result.examples) if plan.kind != "vl" else {}
    return result.examples, {
        "collection": name,
        "kind": plan.kind,
        "passages": len(chosen),
        "examples": len(result.examples),
        "positives": sum(len(one.pos) for one in result.examples),
        "negatives": sum(len(one.neg) for one in result.examples),
        "dropped": dict(sorted((left_out + result.dropped).items())),
        **measures,
    }


def _asking(
    settings: Settings, out: Path, work: Any, *, with_application: bool = False
) -> tuple[Any, dict[str, Any]]:
    """What `work` makes with the language model (and the service), and how its calls went."""
    from rag_app.assembly.clients import Clients
    from rag_app.synthesis import calls

    async def run(service: Any = None) -> tuple[Any, dict[str, Any]]:
        clients = Clients()
        try:
            llm = clients.get(settings.llm)
            path, most = out / calls.FILE, settings.llm.concurrency
            with calls.Calls(llm, path, concurrency=most, deadline=settings.llm.timeout) as asking:
                made = await (work(asking, service) if with_application else work(asking))
            return made, {
                "model": settings.llm.model,
                "calls": {"asked": asking.asked, "kept": asking.kept},
                "failed": dict(asking.failed),
            }
        finally:
            await clients.close()

    return with_service(settings, run) if with_application else until_done(run())


async def _pairs(
    service: Any,
    name: str,
    kinds: list[str],
    limit: int,
    negatives: int,
    questions: list[str],
    seed: int,
) -> tuple[list[Any], dict[str, Any]]:
    from data.sentences import sentences_of
    from rag_app.synthesis import audit as auditing
    from rag_app.synthesis import collection as reading
    from rag_app.synthesis import filters
    from retrieval.training import pairs as making

    found = [one async for one in reading.passages(service, name)]
    worth = {one.document for one in auditing.audit(found) if not one.reason}

    dropped: Counter[str] = Counter()
    candidates = making.make([one for one in found if one.document in worth], sentences_of, kinds)
    kept = list(filters.uncontaminated(filters.distinct(candidates, dropped), questions, dropped))
    chosen = random.Random(seed).sample(kept, min(limit, len(kept)))  # noqa: S311 - no secret
    if negatives:
        chosen = [
            await reading.with_negatives(service, name, one, keep=negatives) for one in chosen
        ]
    return chosen, {
        "collection": name,
        "examples": len(chosen),
        "kinds": dict(Counter(one.kind for one in chosen)),
        "negatives": sum(len(one.neg) for one in chosen),
        "dropped": dict(dropped) | {"beyond the limit": len(kept) - len(chosen)},
        "documents_left_out": len({one.document for one in found} - worth),
        **await _triviality(service, name, chosen),
    }


async def _triviality(service: Any, name: str, chosen: list[Any]) -> dict[str, Any]:
    """Words shared with the positive, and how often a retriever's first hit is wrong."""
    from rag_app.service import QueryOptions
    from rag_app.synthesis import collection as reading
    from rag_app.synthesis import filters
    from retrieval.analysis import Analyzer

    measured, errors = chosen[:_MEASURED], {}
    for retriever in ("bm25", "dense"):
        options = QueryOptions(retriever=retriever, top_k=1)
        hits = [(await service.search(name, one.query, options)).hits for one in measured]
        errors[retriever] = round(reading.error_rate(measured, hits), 4)
    terms = Analyzer("none")
    overlaps = [filters.overlap(one, terms) for one in chosen]
    return {"overlap": round(sum(overlaps) / max(1, len(overlaps)), 4), "error_rate": errors}


def _questions(path: Path) -> list[str]:
    return [str(one.get("question") or one.get("query") or one["text"]) for one in _records(path)]


def _gold(path: Path) -> list[str]:
    """Ids, documents and texts that answer the questions of a file, where it names them."""
    found = []
    for one in _records(path):
        asked = one.get("question") or one.get("query")
        names = [one.get("document"), one.get("passage_id"), one.get("text") if asked else None]
        listed = one.get("gold_ids")
        found += [*names, *(listed if isinstance(listed, list) else [])]
    return [str(one) for one in found if one]


def _records(path: Path) -> list[dict[str, Any]]:
    from rag_app.errors import SettingsError

    try:
        records = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]
        for one in records:
            one.get("question") or one.get("query") or one["text"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"--exclude {path} cannot be read",
            cause=str(error),
            hint="Give JSON objects, one a line, with question, query or text",
        ) from error
    return records


def _write(path: Path, document: Mapping[str, Any]) -> None:
    from data.files import write_text

    write_text(path, json.dumps(document, ensure_ascii=False, indent=1))


def _print_audit(document: Mapping[str, Any]) -> None:
    for one in document["findings"]:
        verdict = one["reason"] or "worth it"
        if one["grade"] is not None:
            verdict += f", grade {one['grade']} of 5"
        typer.echo(f"{output.harmless(one['document'])}: {one['words']} words, {verdict}")
    typer.echo(f"{document['worth']} of {document['documents']} documents are worth training on.")
    _print_losses(document)


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


def _print_made(document: Mapping[str, Any]) -> None:
    typer.echo(
        f"{document['examples']} examples of {document['passages']} passages in {document['file']}"
    )
    _print_losses(document)


def _print_losses(document: Mapping[str, Any]) -> None:
    """What could not be used, and what was not answered."""
    failed = document.get("failed", {})
    for reason, count in document["dropped"].items():
        typer.echo(f"left out, {reason}: {count}")
    for reason, count in failed.items():
        typer.echo(f"not answered, {output.harmless(reason)}: {count}")
    if failed:
        typer.echo("Run the same command again: what was answered is not asked again.")
