"""`rag-app adapt`: train an encoder on a collection, prove what it gains, and switch or not."""

import json
import random
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rag_app.commands import output
from rag_app.commands.common import AsJson, InCollection, with_service
from rag_app.errors import SettingsError
from rag_app.settings import Settings

_GUARD_DROP = 1.0
"""Points of nDCG@10 that the guard set may lose."""
_LEVEL = 0.05


def adapt(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Name of the new encoder.")],
    out: Annotated[Path, typer.Option(help="Folder of the data and the report.")],
    collection: InCollection = None,
    questions: Annotated[
        Path | None,
        typer.Option(help="JSONL: question and document, passage_id or text. None: from titles."),
    ] = None,
    guard: Annotated[
        Path | None, typer.Option(help="JSONL of questions that must not get worse, the same form.")
    ] = None,
    method: Annotated[Literal["infonce", "redapter"], typer.Option()] = "infonce",
    held_out: Annotated[float, typer.Option(min=0.1, max=0.9, help="Share for the test.")] = 0.3,
    limit: Annotated[int, typer.Option(min=1, help="Most pairs of the documents.")] = 3000,
    epochs: Annotated[float, typer.Option(min=0.01)] = 2,
    batch_size: Annotated[int, typer.Option(min=2)] = 32,
    keep: Annotated[float, typer.Option(min=0, max=1, help="Share of the trained weights.")] = 0.5,
    switch: Annotated[bool, typer.Option(help="Use the new index where it is better.")] = False,
    seed: Annotated[int, typer.Option()] = 0,
    as_json: AsJson = False,
) -> None:
    """Train on one part of the documents, measure on the other, and report either way."""
    from eval.adaptation import measuring
    from eval.adaptation.progress import kept_progress
    from eval.report import adaptation as reporting
    from rag_app.assembly import trained
    from rag_app.assembly.encoders import choose
    from rag_app.commands.training import on_step, start_of
    from retrieval.training import encoder as training
    from retrieval.training import examples
    from retrieval.training.trainer import HISTORY_FILE

    settings: Settings = context.obj
    where, before = collection or settings.collection, settings.encoder.name
    folder = trained.folder(settings, name)
    is_trained = trained.is_one(settings, name)
    if is_trained and not (out / examples.TRAIN_FILE).is_file():
        raise SettingsError(f"there is an encoder {name} already", hint="Choose another name")
    out.mkdir(parents=True, exist_ok=True)
    plan = replace(
        training.PRESETS["laptop"], method=method, epochs=epochs, batch_size=batch_size,
        keep=keep, seed=seed,
    )  # fmt: skip
    choice = choose(settings, before)

    async def prepare(service: Any) -> Any:
        return await _prepared(
            service, where, questions, guard, held_out=held_out, limit=limit, seed=seed
        )

    async def measure(service: Any) -> dict[str, list[list[float]]]:
        report("building the new index")
        await service.build_index(where, name)
        report(f"comparing both on {len(test) + len(guards)} questions")
        return {
            kind: [await measuring.ndcg(service, where, asked, one) for one in (before, name)]
            for kind, asked in (("test", test), ("guard", guards))
        }

    def count_step(step: int, steps: int, loss: float) -> None:
        on_step(step, steps, loss)
        report(f"training, loss {loss:.3f}", step, steps)

    with kept_progress(out) as report:
        data, test, guards, counts = with_service(settings, prepare)
        if not is_trained:  # else an earlier call got as far
            examples.write(out / examples.TRAIN_FILE, data)
            report(f"training on {len(data)} examples")
            training.train(choice.row, start_of(choice), data, plan, folder, name, count_step)
        scores = with_service(settings, measure)
        old, new = scores["test"]
        delta = measuring.compared(old, new)
        held = measuring.compared(*scores["guard"]) if guards else None
        better = delta["points"] > 0 and delta["p"] < _LEVEL
        safe = held is None or held["points"] >= -_GUARD_DROP
        if switch and better and safe:
            with_service(settings, lambda service: service.use_index(where, name))
        document = {
            "name": name,
            "collection": where,
            "questions": "given" if questions else "made of the documents' titles and sentences",
            "train": {"examples": len(data), **counts},
            "test": len(test),
            "before": {"encoder": before, "ndcg@10": sum(old) / len(old)},
            "after": {"encoder": name, "ndcg@10": sum(new) / len(new)},
            "delta": delta,
            "guard": held,
            "better": better,
            "switched": switch and better and safe,
            "lost": measuring.lost(test, old, new),
            "plan": asdict(plan),
        }
        losses = json.loads((folder / HISTORY_FILE).read_text("utf-8"))
        samples = [
            {"question": one.question, "before": first, "after": second}
            for one, first, second in zip(test, old, new, strict=True)
        ]
        reporting.write(out, document, samples, losses)
    output.show(document, as_json, _print)


async def _prepared(
    service: Any,
    where: str,
    questions: Path | None,
    guard: Path | None,
    *,
    held_out: float,
    limit: int,
    seed: int,
) -> tuple[list[Any], list[Any], list[Any], Mapping[str, int]]:
    """Training examples, test questions, guard questions, and the examples by kind."""
    from data.sentences import sentences_of
    from eval.adaptation import questions as asking
    from eval.errors import EvalError
    from rag_app.synthesis import collection as reading
    from rag_app.synthesis import filters
    from retrieval.training import pairs
    from retrieval.training.examples import Example

    passages = [one async for one in reading.passages(service, where)]
    asked = asking.read(questions, passages) if questions else []
    keys = {one.gold for one in asked} or {one.id for one in passages}
    kept_out = asking.part(keys, held_out, seed)

    made = list(pairs.make(passages, sentences_of))
    chance = random.Random(seed)  # noqa: S311 - no secret
    chance.shuffle(made)
    if questions:
        test = [one for one in asked if one.gold in kept_out]
    else:
        test = [
            asking.Question(one.query, one.pos_id[0])
            for one in made
            if one.pos_id[0] in kept_out and one.kind in {"heading", "cloze", "sentence"}
        ][:500]
    if not test:
        raise EvalError(
            "no question is left for the test",
            cause=f"{len(kept_out)} of {len(keys)} documents were held out",
            hint="Give more questions, or a larger --held-out",
        )
    first = {one.id: one.indexed for one in reversed(passages)}
    given = [
        Example(
            query=one.question, pos=[one.text or first[one.gold]], pos_id=[one.gold], kind="own"
        )
        for one in asked
        if one.gold not in kept_out
    ]
    dropped: Counter[str] = Counter()
    pool = [one for one in made if one.pos_id[0] not in kept_out][:limit]
    rest = filters.uncontaminated(
        filters.distinct([*given, *pool], dropped), [one.question for one in test], dropped
    )
    data = [await reading.with_negatives(service, where, one, gold=kept_out) for one in rest]
    guards = asking.read(guard, passages) if guard else []
    return data, test, guards, dict(Counter(one.kind for one in data) + dropped)


def _print(document: Mapping[str, Any]) -> None:
    from eval.report import adaptation as reporting

    verdict = reporting.report(document, ()).verdict
    for line in (f"{verdict.sentence}.", f"{verdict.evidence}.", *verdict.reasons):
        sys.stdout.write(output.harmless(line) + "\n")
