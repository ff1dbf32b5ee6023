"""BRIGHT (Su et al., ICLR 2025): 12 tasks whose queries need reasoning to find what helps.

A folder, laid out by the tables of the hub's ``xlangai/BRIGHT``, holds ``TASK.jsonl`` (its table
``examples``: id, query, gold_ids, gold_ids_long, excluded_ids), ``documents/TASK.jsonl`` and
``long_documents/TASK.jsonl`` (``_id``, ``text``), and ``gpt4_reason/TASK.jsonl`` and the like (id,
query). Tasks may be spelled ``earth_science`` or ``earth-science``, in names and in files.

Judgements are the examples' ``gold_ids``, which all published results use, and which
``qrels.TASK.txt`` of castorini/anserini-tools repeats. Its ``qrels.TASK.fixed.txt`` differ in five
tasks: they add documents whose text equals that of a gold one under another id. For one query of
sustainable_living that makes 487 of 498, seemingly all empty; so they are not used.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.datasets import hub
from eval.datasets.asked import Asked
from eval.datasets.corpus import check
from eval.datasets.reading import bad, records, revision
from eval.datasets.retrieval import RetrievalDataset
from eval.errors import DatasetError

HUB = "xlangai/BRIGHT"
REWRITERS = ("gpt4", "claude-3-opus", "Gemini-1.0", "grit", "llama3-70b")
"""Whose rewritten queries there are; the hub's tables have ``_reason`` after the name."""


@dataclass(frozen=True)
class Task:
    """What a task should have: queries, sizes its corpus is known to have had, long documents."""

    queries: int
    documents: frozenset[int]
    long: bool = False


def load_asked(asked: Asked) -> RetrievalDataset:
    """The data set that is asked for; raises as `find`."""
    return find(asked.argument, asked.data_dir, asked.cache, asked.queries)


def _task(queries: int, *documents: int, long: bool = False) -> Task:
    return Task(queries, frozenset(documents), long)


TASKS: Mapping[str, Task] = {
    "biology": _task(103, 57_359, long=True),
    "earth_science": _task(116, 121_249, long=True),
    "economics": _task(103, 50_220, long=True),
    "psychology": _task(101, 52_835, long=True),
    "robotics": _task(101, 61_961, long=True),
    "stackoverflow": _task(117, 107_081, long=True),
    "sustainable_living": _task(108, 60_792, long=True),
    "pony": _task(112, 7_894, long=True),
    "leetcode": _task(142, 413_932),
    "aops": _task(111, 188_002, 188_177),
    "theoremqa_questions": _task(194, 188_002, 188_177),
    "theoremqa_theorems": _task(76, 23_839),
}
"""By the slug that the benchmark and the instructions of encoders use."""

_HINT = "Each line must have id, query, gold_ids, gold_ids_long and excluded_ids"


@dataclass(frozen=True)
class Selection:
    """What a name asks for.

    Attributes:
        slug: the task.
        long: whether its long documents are searched.
        queries: ``original``, or the hub's table of rewritten ones.
    """

    slug: str
    long: bool = False
    queries: str = "original"

    @property
    def name(self) -> str:
        """As it is asked for."""
        rewritten = "" if self.queries == "original" else f"@{self.queries}"
        return f"bright:{self.slug}{'-long' if self.long else ''}{rewritten}"

    @property
    def documents(self) -> str:
        """The hub's table of the documents."""
        return "long_documents" if self.long else "documents"


def parse(text: str, queries: str = "original") -> Selection:
    """What ``TASK[-long][@QUERIES]`` asks for.

    Raises:
        DatasetError: the task or the queries are unknown, or the task has no long documents.
    """
    task, _, named = text.partition("@")
    slug = task.replace("-", "_").lower()
    long = slug.endswith("_long")
    asked = Selection(slug.removesuffix("_long"), long, _table(named or queries))
    if asked.slug not in TASKS:
        raise DatasetError(f"BRIGHT has no task {task!r}", hint=f"It has {', '.join(TASKS)}")
    if long and not TASKS[asked.slug].long:
        having = ", ".join(f"{slug}-long" for slug, task in TASKS.items() if task.long)
        raise DatasetError(f"{asked.slug} has no long documents", hint=f"There are {having}")
    return asked


def find(
    text: str, data_dir: Path | None, cache: Path, queries: str = "original"
) -> RetrievalDataset:
    """A task of BRIGHT: from ``bright/`` of the data folder, or of the cache, or from the hub.

    Where a local copy lacks the documents only, the corpus is None, and ``missing`` is the command
    that gets them.

    Raises:
        DatasetError: it cannot be loaded, is malformed, or does not have the size it should have.
    """
    asked = parse(text, queries)
    local = data_dir / "bright" if data_dir else None
    folders = [*([local] if local else []), cache / "bright"]
    examples = _examples(asked, folders)
    texts = {example.id: example.query for example in examples}
    if asked.queries != "original":
        texts = _rewritten(asked, folders, texts)
    qrels = {example.id: dict.fromkeys(example.gold, 1) for example in examples}
    excluded = {example.id: frozenset(example.excluded) for example in examples if example.excluded}
    corpus = _corpus(asked, folders, fetch=_first(folders[:-1], "", asked.slug) is None)
    if corpus:
        _check(asked, corpus, qrels)
        _refuse_cut(asked, examples, _writable(folders))
    parts = [texts, qrels, {query: sorted(ids) for query, ids in excluded.items()}]
    return RetrievalDataset(
        name=asked.name,
        corpus=corpus,
        queries=texts,
        qrels=qrels,
        revision=revision(parts, *([corpus] if corpus else [])),
        excluded=excluded,
        task=f"{asked.slug}_long" if asked.long else asked.slug,
        missing="" if corpus else _command(asked.documents, asked.slug, _writable(folders)),
    )


@dataclass(frozen=True)
class _Example:
    """A query; `cut` where a copy has its list of excluded ids emptied (its n_excluded says so)."""

    id: str
    query: str
    gold: tuple[str, ...]
    excluded: tuple[str, ...]
    cut: bool


def _examples(asked: Selection, folders: list[Path]) -> list[_Example]:
    """Those of the first copy with no list cut off, else of the first copy, else the hub's."""
    copies = [copy for folder in folders if (copy := _first([folder], "", asked.slug))]
    if not copies:
        copies = [_fetch("examples", asked.slug, folders[-1])]
    read = [list(_read(copy, asked)) for copy in copies]
    examples = next((found for found in read if not any(one.cut for one in found)), read[0])
    expected, found = TASKS[asked.slug].queries, len({one.id for one in examples})
    if len(examples) != expected or found != expected:
        raise DatasetError(
            f"{asked.name} is not whole",
            cause=f"{copies[0]} has {found} different queries in {len(examples)} lines, not"
            f" {expected}",
            hint=f"Get it again: {_command('examples', asked.slug, _writable(folders))}",
        )
    return examples


def _read(path: Path, asked: Selection) -> Iterator[_Example]:
    for number, row in records(path, _HINT):
        try:
            gold = _ids(row["gold_ids_long" if asked.long else "gold_ids"])
            excluded, cut = _ids(row["excluded_ids"]), bool(row.get("n_excluded"))
            example = _Example(str(row["id"]), str(row["query"]), gold, excluded, cut)
        except (KeyError, TypeError) as error:
            reason = f"a field is missing or malformed ({error})"
            raise bad(path, number, reason, _HINT) from error
        if not gold:
            raise bad(path, number, "nothing is judged relevant", _HINT)
        yield example


def _ids(listed: Any) -> tuple[str, ...]:
    """The ids of a list; the benchmark writes ``N/A`` for none."""
    if not isinstance(listed, list):
        raise TypeError("ids are not a list")
    return tuple(str(one) for one in listed if one != "N/A")


def _rewritten(
    asked: Selection, folders: list[Path], original: Mapping[str, str]
) -> dict[str, str]:
    """The rewritten text of every query."""
    path = _first(folders, asked.queries, asked.slug)
    path = path or _fetch(asked.queries, asked.slug, folders[-1])
    found = {str(row.get("id")): str(row.get("query")) for _, row in records(path, _HINT)}
    if set(found) != set(original):
        odd = min(set(found) ^ set(original))
        raise DatasetError(
            f"{path} does not have the queries of {asked.slug}",
            cause=f"only one of both has {odd!r}",
            hint=f"Get it again: {_command(asked.queries, asked.slug, path.parent.parent)}",
        )
    return {query: found[query] for query in original}


def _corpus(asked: Selection, folders: list[Path], *, fetch: bool) -> Path | None:
    found = _first(folders, asked.documents, asked.slug)
    return found or (_fetch(asked.documents, asked.slug, folders[-1]) if fetch else None)


def _check(asked: Selection, corpus: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
    size, known = check(asked.name, corpus, qrels), TASKS[asked.slug].documents
    if not asked.long and size not in known:
        raise DatasetError(
            f"{asked.name} has {size} documents",
            cause=f"published results are over {' or '.join(map(str, sorted(known)))}",
            hint=f"Get them again: {_command('documents', asked.slug, corpus.parent.parent)}",
        )


def _refuse_cut(asked: Selection, examples: list[_Example], folder: Path) -> None:
    cut = sum(example.cut for example in examples)
    if cut:
        raise DatasetError(
            f"{asked.name} lacks the ids that must be taken out of {cut} rankings",
            cause="its copy of the examples has emptied lists (n_excluded)",
            hint=f"Get them whole: {_command('examples', asked.slug, folder)}",
        )


def _table(queries: str) -> str:
    for rewriter in REWRITERS:
        if queries in (rewriter, f"{rewriter}_reason"):
            return f"{rewriter}_reason"
    if queries != "original":
        having = ", ".join(f"{rewriter}_reason" for rewriter in REWRITERS)
        raise DatasetError(f"BRIGHT has no queries {queries!r}", hint=f"original, {having}")
    return queries


def _first(folders: list[Path], table: str, slug: str) -> Path | None:
    """The first file of a table ("" for the examples) that lies in one of the folders."""
    names = (f"{slug}.jsonl", f"{slug.replace('_', '-')}.jsonl")
    paths = (folder / table / name for folder in folders for name in names)
    return next((path for path in paths if path.is_file()), None)


def _writable(folders: list[Path]) -> Path:
    """The first folder that a local copy can be put into; the last one is the cache."""
    return next((folder for folder in folders if os.access(folder, os.W_OK)), folders[-1])


def _fetch(table: str, slug: str, folder: Path) -> Path:
    """A table of the hub, written into a folder of our layout."""
    columns = _COLUMNS.get(table, {})
    hint = f"Where the hub can be reached, run: {_command(table, slug, folder)}"

    def rows() -> Iterator[dict[str, Any]]:
        for row in hub.rows(HUB, table, slug, hint):
            yield {columns.get(key, key): value for key, value in row.items()}

    return hub.keep(_target(table, slug, folder), rows)


def _command(table: str, slug: str, folder: Path) -> str:
    return hub.command(HUB, table, slug, _target(table, slug, folder), _COLUMNS.get(table))


def _target(table: str, slug: str, folder: Path) -> Path:
    return folder / ("" if table == "examples" else table) / f"{slug}.jsonl"


_RENAMED = {"id": "_id", "content": "text"}
_COLUMNS: Mapping[str, Mapping[str, str]] = {"documents": _RENAMED, "long_documents": _RENAMED}
