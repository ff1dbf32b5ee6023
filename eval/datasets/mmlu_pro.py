"""MMLU-Pro (Wang et al., NeurIPS 2024): 14 subjects, up to ten choices.

A local copy is ``mmlu_pro/<split>.jsonl``, of the form of the hub's ``TIGER-Lab/MMLU-Pro``.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from eval.datasets import hub
from eval.datasets.asked import Asked
from eval.datasets.choice import ChoiceDataset
from eval.datasets.choice_jsonl import read, whole
from eval.datasets.reading import records
from eval.errors import DatasetError

COUNTS = {"test": 12_032, "validation": 70}
HUB = "TIGER-Lab/MMLU-Pro"
_HINT = "Get it again"


def load_asked(asked: Asked) -> ChoiceDataset:
    """The data set that is asked for; raises as `find`."""
    return find(asked.data_dir, asked.cache, asked.split)


def find(data_dir: Path | None, cache: Path, split: str = "test") -> ChoiceDataset:
    """The whole split, local where there is a copy; ``dev`` means the hub's ``validation``.

    Raises:
        DatasetError: it cannot be loaded, is malformed or is not whole.
    """
    split = "validation" if split == "dev" else split
    if split not in COUNTS:
        raise DatasetError(f"mmlu_pro has no split {split!r}", hint="It has test and dev")
    path = hub.copy(HUB, None, split, f"mmlu_pro/{split}.jsonl", data_dir, cache)
    name = "mmlu_pro" if split == "test" else "mmlu_pro (dev)"
    dataset = whole(name, read(path, _converted(records(path, _HINT)), _HINT))
    if len(dataset.questions) != COUNTS[split]:
        raise DatasetError(
            f"{name} is not whole",
            cause=f"it has {len(dataset.questions)} questions, not {COUNTS[split]}",
            hint="Get it again; a part of it can be measured as jsonl:PATH",
        )
    return dataset


def _converted(
    numbered: Iterable[tuple[int, dict[str, Any]]],
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The hub's rows under our names, without the choices ``N/A`` that fill up some of them."""
    for number, row in numbered:
        choices = [choice for choice in row.get("options") or () if choice != "N/A"]
        yield (
            number,
            {
                "id": row.get("question_id"),
                "question": row.get("question"),
                "choices": choices,
                "answer_idx": row.get("answer_index"),
                "answer": row.get("answer"),
                "subject": row.get("category"),
            },
        )
