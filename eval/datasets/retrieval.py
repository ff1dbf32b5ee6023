"""What a retrieval data set is, whatever form it came in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eval.errors import EvalError


@dataclass(frozen=True)
class RetrievalDataset:
    """Queries with judgements, over a corpus that lies in a file.

    Attributes:
        name: as it is asked for, such as ``beir:scifact`` or ``bright:biology``.
        corpus: a file of passages that `data.loaders.jsonl` reads; None where only runs can be
            scored, since the documents are not at hand.
        queries: query id -> text; exactly the queries that have judgements.
        qrels: query id -> document id -> relevance (0 or less: judged not relevant).
        revision: digest of all that was read, to know whether two runs are of the same data.
        excluded: query id -> documents that are taken out of its ranking (BRIGHT).
        task: the task whose instruction encoders know (BRIGHT's slugs); empty for none.
        parents: passage id -> the document it is a part of, where judgements are of documents;
            ids that it lacks are documents themselves.
        missing: how to get the documents, where `corpus` is None.
    """

    name: str
    corpus: Path | None
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]
    revision: str
    excluded: Mapping[str, frozenset[str]] = field(default_factory=dict)
    task: str = ""
    parents: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""

    @property
    def private(self) -> bool:
        """No retrieval data set asks that its text is kept from logs."""
        return False

    def require_corpus(self) -> Path:
        """The corpus. Raises EvalError with the command that gets it where it is not at hand."""
        if self.corpus is None:
            raise EvalError(
                f"the documents of {self.name} are not at hand",
                cause="only runs of other programs can be scored without them (eval score)",
                hint=self.missing,
            )
        return self.corpus
