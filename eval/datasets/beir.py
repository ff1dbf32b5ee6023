"""Retrieval data sets in the form of BEIR (Thakur et al., NeurIPS 2021).

A folder holds ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``,
``text``) and ``qrels/<split>.tsv`` (query id, passage id, relevance, under a header line). Queries
of a split may lie in a file of their own, ``queries_<split>.jsonl``.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eval.errors import DatasetError

_WAY_OUT = "Give a folder with corpus.jsonl, queries.jsonl and qrels/<split>.tsv"


@dataclass(frozen=True)
class BeirDataset:
    """A data set, its corpus read from disk only when asked for.

    Attributes:
        corpus_path: the file of passages.
        queries: query id -> text; exactly the queries that have judgements.
        qrels: query id -> passage id -> relevance (0 or less: judged not relevant).
    """

    corpus_path: Path
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]

    def passages(self) -> Iterator[tuple[str, str, str]]:
        """Id, title and text of every passage, in file order, one at a time."""
        for passage in _lines(self.corpus_path):
            yield str(passage["_id"]), passage.get("title") or "", passage["text"]

    @cached_property
    def corpus(self) -> dict[str, tuple[str, str]]:
        """Passage id -> (title, text), all in memory."""
        return {passage: (title, text) for passage, title, text in self.passages()}


def load(folder: Path, split: str = "test") -> BeirDataset:
    """Read queries and judgements of a split; the corpus follows on demand.

    Raises:
        DatasetError: a file is missing or malformed, or a judged query has no text.
    """
    corpus = folder / "corpus.jsonl"
    if not corpus.is_file():
        raise DatasetError(f"{corpus} cannot be read", cause="no such file", way_out=_WAY_OUT)
    qrels = _qrels(folder / "qrels" / f"{split}.tsv")
    texts = _queries(folder, split)
    absent = [query for query in qrels if query not in texts]
    if absent:
        raise DatasetError(
            f"{folder} has judgements for {len(absent)} queries without text",
            cause=f"query {absent[0]!r} is in no queries file",
            way_out=_WAY_OUT,
        )
    return BeirDataset(corpus, {query: texts[query] for query in qrels}, qrels)


def _queries(folder: Path, split: str) -> dict[str, str]:
    own = folder / f"queries_{split}.jsonl"
    paths = [folder / "queries.jsonl", *([own] if own.is_file() else [])]
    return {str(line["_id"]): line["text"] for path in paths for line in _lines(path)}


def _qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for number, row in _rows(path):
        if number == 1:
            continue
        try:
            query, passage, grade = row.split("\t")
            qrels.setdefault(query, {})[passage] = int(grade)
        except ValueError as error:
            raise DatasetError(
                f"{path} line {number} cannot be read",
                cause="it is not query id, passage id and a whole number, set apart by tabs",
                way_out=_WAY_OUT,
            ) from error
    return qrels


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for number, row in _rows(path):
        try:
            entry = json.loads(row)
            entry["_id"], entry["text"]
        except (ValueError, TypeError, KeyError) as error:
            raise DatasetError(
                f"{path} line {number} cannot be read",
                cause="it is not a JSON object with _id and text",
                way_out=_WAY_OUT,
            ) from error
        yield entry


def _rows(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line that is not blank."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read", cause=str(error), way_out=_WAY_OUT) from error
