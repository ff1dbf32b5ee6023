"""Retrieval data sets in the form of BEIR (Thakur et al., NeurIPS 2021).

A folder holds ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``,
``text``) and ``qrels/<split>.tsv`` (query id, passage id, relevance, under a header line or
without one). Queries of a split may lie in a file of their own, ``queries_<split>.jsonl``.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from eval.datasets import hub
from eval.datasets.asked import Asked
from eval.datasets.corpus import check
from eval.datasets.reading import bad, identifier, records, revision, rows
from eval.datasets.retrieval import RetrievalDataset
from eval.errors import DatasetError

_HINT = "Give a folder with corpus.jsonl, queries.jsonl and qrels/<split>.tsv"
_COLUMNS = ("query-id", "corpus-id", "score")


def load_asked(asked: Asked) -> RetrievalDataset:
    """The data set that is asked for; raises as `find`."""
    return find(asked.argument, asked.data_dir, asked.cache, asked.split)


def find(text: str, data_dir: Path | None, cache: Path, split: str = "test") -> RetrievalDataset:
    """The folder of that path, or of that name in ``beir/`` of the data folder, or the hub's set.

    Raises:
        DatasetError: there is none of these; or as `load`.
    """
    local = data_dir / "beir" if data_dir else None
    for folder in (Path(text), *([local / text] if local else [])):
        if folder.is_dir():
            return load(folder, split, f"beir:{text}")
    if text.count("/") == 1 and not text.startswith(("/", ".", "~")):
        return load(fetch(text, split, cache / "beir"), split, f"beir:{text}")
    known = sorted(path.name for path in local.glob("*/")) if local else []
    raise DatasetError(
        f"beir:{text} is neither a folder nor a data set of the hub",
        cause=f"{local} has {', '.join(known) or 'none'}" if local else "no --data-dir is given",
        hint="Give a path, a name in beir/ of --data-dir, or one of the hub: beir:mteb/scifact",
    )


def fetch(repository: str, split: str, cache: Path) -> Path:
    """A data set of the hub, written as a folder of this form.

    Judgements lie in the table ``default`` of the same repository (as MTEB has them), or in the
    repository ``NAME-qrels`` (as BEIR's authors have them).

    Raises:
        DatasetError: it cannot be loaded.
    """
    folder = cache / repository.replace("/", "--")
    hint = (
        f"If {repository} should be a folder, it is not there; else put corpus.jsonl, queries.jsonl"
        f" and qrels/{split}.tsv into {folder}"
    )
    for table in ("corpus", "queries"):
        hub.keep(folder / f"{table}.jsonl", partial(_texts, repository, table, hint))
    hub.keep(_path(folder, split), partial(_judgements, repository, split, hint))
    return folder


def _texts(repository: str, table: str, hint: str) -> Iterator[hub.Row]:
    for row in hub.rows(repository, table, table, hint, ("_id", "text")):
        yield {"_id": identifier(row), "title": row.get("title") or "", "text": row["text"]}


def _judgements(repository: str, split: str, hint: str) -> Iterator[str]:
    yield "\t".join(_COLUMNS)
    apart = repository.startswith("BeIR/")
    holder, table = (f"{repository}-qrels", None) if apart else (repository, "default")
    for row in hub.rows(holder, table, split, hint, _COLUMNS):
        yield "\t".join(str(row[column]) for column in _COLUMNS)


def load(folder: Path, split: str = "test", name: str = "") -> RetrievalDataset:
    """Read queries and judgements of a split; the corpus is only checked, and stays on disk.

    Where there are no judgements of the split ``test``, those of ``dev`` are taken, and the name
    says so.

    Raises:
        DatasetError: a file is missing or malformed, a judged query has no text, or the corpus
            lacks documents that are judged relevant.
    """
    corpus = folder / "corpus.jsonl"
    if not corpus.is_file():
        raise DatasetError(f"{corpus} cannot be read", cause="no such file", hint=_HINT)
    name = name or f"beir:{folder}"
    if split == "test" and not _path(folder, split).exists() and _path(folder, "dev").is_file():
        split, name = "dev", f"{name} (dev)"
    qrels = _qrels(_path(folder, split))
    texts = dict(_queries(folder, split))
    absent = [query for query in qrels if query not in texts]
    if absent:
        raise DatasetError(
            f"{folder} has judgements for {len(absent)} queries without text",
            cause=f"query {absent[0]!r} is in no queries file",
            hint=_HINT,
        )
    check(name, corpus, qrels)
    queries = {query: texts[query] for query in qrels}
    return RetrievalDataset(name, corpus, queries, qrels, revision([queries, qrels], corpus))


def _path(folder: Path, split: str) -> Path:
    return folder / "qrels" / f"{split}.tsv"


def _queries(folder: Path, split: str) -> Iterator[tuple[str, str]]:
    of_split = folder / f"queries_{split}.jsonl"
    for path in [folder / "queries.jsonl", *([of_split] if of_split.is_file() else [])]:
        for number, record in records(path, _HINT):
            query, text = identifier(record), record.get("text")
            if query is None or not isinstance(text, str):
                raise bad(path, number, "it has no _id or no text", _HINT)
            yield query, text


def _qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for number, row in rows(path):
        fields = row.decode("utf-8", "replace").split("\t")
        if number == 1 and not _is_number(fields[-1]):
            continue
        if len(fields) != len(_COLUMNS) or not _is_number(fields[2]):
            reason = "it is not query id, passage id and a number, set apart by tabs"
            raise bad(path, number, reason, _HINT)
        if not float(fields[2]).is_integer():
            reason = f"the relevance {fields[2]} is not whole; nDCG is defined for whole grades"
            raise bad(path, number, reason, "Round it, or scale all grades to whole numbers")
        qrels.setdefault(fields[0], {})[fields[1]] = int(float(fields[2]))
    if not qrels:
        raise DatasetError(f"{path} has no judgements", hint=_HINT)
    return qrels


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
