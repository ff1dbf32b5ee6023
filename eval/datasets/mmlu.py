"""MMLU (Hendrycks et al., ICLR 2021): 57 subjects, four choices.

A local copy is ``mmlu/mmlu.jsonl``, of our form, or ``mmlu/<split>.jsonl``, of the form of the
hub's ``cais/mmlu``. All give the same ids.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from eval.datasets import hub
from eval.datasets.asked import Asked
from eval.datasets.choice import ChoiceDataset, Question
from eval.datasets.choice_jsonl import read, whole
from eval.datasets.reading import records
from eval.errors import DatasetError

COUNTS = {"test": 14_042, "dev": 285}
SUBJECTS = 57
HUB = "cais/mmlu"
_HINT = "Get it again"

_Numbered = Iterable[tuple[int, dict[str, Any]]]


def load_asked(asked: Asked) -> ChoiceDataset:
    """The data set that is asked for; raises as `find`."""
    return find(asked.data_dir, asked.cache, asked.split)


def find(data_dir: Path | None, cache: Path, split: str = "test") -> ChoiceDataset:
    """The whole split, local where there is a copy; OpenStax's passages beside it are its corpus.

    Raises:
        DatasetError: it cannot be loaded, is malformed or is not whole.
    """
    if split not in COUNTS:
        raise DatasetError(f"mmlu has no split {split!r}", hint=f"It has {', '.join(COUNTS)}")
    questions = list(_questions(data_dir, cache, split))
    check(questions, split)
    passages = data_dir / "openstax" / "passages.jsonl" if data_dir else None
    corpus = passages if passages and passages.is_file() else None
    return whole("mmlu" if split == "test" else f"mmlu ({split})", questions, corpus=corpus)


def check(questions: Iterable[Question], split: str) -> None:
    """Hold questions to be all of a split's.

    Raises:
        DatasetError: how many there are, and how many there should be.
    """
    subjects = Counter(question.subject for question in questions)
    if subjects.total() != COUNTS[split] or len(subjects) != SUBJECTS:
        raise DatasetError(
            f"mmlu ({split}) is not whole",
            cause=f"it has {subjects.total()} questions of {len(subjects)} subjects, not"
            f" {COUNTS[split]} of {SUBJECTS}",
            hint="Get it again; a part of it can be measured as jsonl:PATH",
        )


def _questions(data_dir: Path | None, cache: Path, split: str) -> Iterator[Question]:
    local = data_dir / "mmlu" / "mmlu.jsonl" if data_dir else None
    if local and local.is_file():
        of_split = (line for line in records(local, _HINT) if line[1].get("split") == split)
        yield from read(local, of_split, _HINT)
    else:
        downloaded = hub.copy(HUB, "all", split, f"mmlu/{split}.jsonl", data_dir, cache)
        yield from read(downloaded, _with_ids(records(downloaded, _HINT), split), _HINT)


def _with_ids(rows: _Numbered, split: str) -> _Numbered:
    """The hub's rows; the nth of its subject, from 0, gets the id ``subject:split:n``."""
    seen: Counter[str] = Counter()
    for number, row in rows:
        subject = str(row.get("subject"))
        answer = {"answer_idx": row.get("answer"), "answer": None}
        yield number, {**row, **answer, "id": f"{subject}:{split}:{seen[subject]}"}
        seen[subject] += 1
