"""GPQA (Rein et al., COLM 2024): questions of graduate level, whose text must not be published.

Its authors ask that no example is put where it can be crawled. It comes from the gated hub set
``Idavidrein/gpqa``, from its file ``gpqa_<part>.csv``, or from the archive of the authors'
repository (https://github.com/idavidrein/gpqa, dataset.zip), encrypted by the traditional PKWARE
cipher with a password that its README publishes. The standard library reads that cipher; the text
is decrypted in memory and never written.
"""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from eval.datasets import hub
from eval.datasets.asked import Asked
from eval.datasets.choice import ChoiceDataset
from eval.datasets.choice_jsonl import read, whole
from eval.errors import DatasetError

COUNTS = {"gpqa_main": 448, "gpqa_diamond": 198}
HUB = "Idavidrein/gpqa"
_PUBLISHED = b"deserted-untie-orchid"
_LARGEST = 64 * 1024 * 1024


def load_asked(asked: Asked) -> ChoiceDataset:
    """The data set that is asked for; raises as `find`."""
    return find(asked.name, asked.data_dir)


def find(name: str, data_dir: Path | None) -> ChoiceDataset:
    """The whole of ``gpqa_main`` or ``gpqa_diamond``, marked private.

    The right answer is the first choice of each question; the order shown is drawn later.

    Raises:
        DatasetError: it cannot be loaded, is malformed or is not whole. No message holds its text.
    """
    folder = (data_dir or Path("DATA_DIR")) / "gpqa"
    hint = _hint(name, folder)
    source, rows = _rows(name, folder, hint)
    dataset = whole(name, read(source, _converted(rows), hint), private=True)
    if len(dataset.questions) != COUNTS[name]:
        raise DatasetError(
            f"{name} is not whole",
            cause=f"it has {len(dataset.questions)} questions, not {COUNTS[name]}",
            hint=hint,
        )
    return dataset


def _rows(name: str, folder: Path, hint: str) -> tuple[str, Iterable[Mapping[str, Any]]]:
    for path in (folder / f"{name}.csv", folder / "dataset" / f"{name}.csv"):
        if path.is_file():
            return str(path), _csv(path.read_bytes(), path)
    for path in (folder / "dataset.zip", folder / "gpqa.zip"):
        if path.is_file():
            return str(path), _csv(_unzip(path, f"{name}.csv"), path)
    return HUB, hub.rows(HUB, name, "train", hint)


def _unzip(path: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            entry = next((e for e in archive.infolist() if Path(e.filename).name == name), None)
            if entry is None:
                raise DatasetError(f"{path} holds no {name}")
            if entry.file_size > _LARGEST:
                raise DatasetError(f"{name} in {path} is too large: {entry.file_size} bytes")
            return archive.read(entry, pwd=_PUBLISHED)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise DatasetError(
            f"{path} cannot be read",
            cause=str(error),
            hint="Give the authors' dataset.zip, or the CSV files that it holds",
        ) from error


def _csv(content: bytes, path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        yield from csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    except (UnicodeDecodeError, csv.Error) as error:
        cause = f"it is no CSV in UTF-8 ({type(error).__name__})"
        raise DatasetError(f"{path} cannot be read", cause=cause) from error


def _converted(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    answers = ("Correct Answer", *(f"Incorrect Answer {n}" for n in (1, 2, 3)))
    for number, row in enumerate(rows, start=1):
        choices = [row.get(answer) for answer in answers]
        yield (
            number,
            {
                "id": row.get("Record ID"),
                "question": _stripped(row.get("Question")),
                "choices": [_stripped(choice) for choice in choices],
                "answer_idx": 0,
                "subject": row.get("High-level domain"),
            },
        )


def _stripped(text: Any) -> Any:
    return text.strip() if isinstance(text, str) else text


def _hint(name: str, folder: Path) -> str:
    return (
        f"Accept its terms at https://huggingface.co/datasets/{HUB} , then run: hf auth login ;"
        f" hf download {HUB} {name}.csv --repo-type dataset --local-dir {folder} ."
        " Or put dataset.zip of https://github.com/idavidrein/gpqa there, as it is."
        " Then give the data folder with --data-dir"
    )
