"""The Hugging Face hub, and nothing else of `eval`, through the library `datasets`."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from eval.errors import DatasetError
from rag_app.telemetry import silence

Row = dict[str, Any]


def rows(repository: str, config: str | None, split: str, remedy: str) -> Iterator[Row]:
    """The rows of a split, one at a time; fetched once, and kept in the library's own cache.

    Code that a repository may hold is never run (`datasets` 4 and later cannot).

    Args:
        repository: ``owner/name``, or the name of a packaged builder such as ``json``.
        config: which of its tables; None for the only one.
        split: ``test``, or as the repository names it.
        remedy: what to do where it cannot be had.

    Raises:
        DatasetError: there is no connection, no such data set, table or split, or it is gated.
    """
    silence()
    import datasets

    what = f"{repository} ({config}, {split})" if config else f"{repository} ({split})"
    try:
        table = datasets.load_dataset(repository, config, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DatasetError(
            f"{what} cannot be had from the hub", cause=_reason(error), way_out=remedy
        ) from error
    yield from table


def command(
    repository: str,
    config: str | None,
    split: str,
    target: Path,
    rename: Mapping[str, str] | None = None,
) -> str:
    """The shell command that writes a split as JSON lines to a file, its columns renamed."""
    arguments = ", ".join(json.dumps(part) for part in (repository, config) if part)
    columns = f".rename_columns({json.dumps(dict(rename))})" if rename else ""
    code = (
        f"import datasets; datasets.load_dataset({arguments}, split={json.dumps(split)})"
        f"{columns}.to_json({json.dumps(str(target))})"
    )
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def copy(
    repository: str,
    config: str | None,
    split: str,
    name: str,
    data_dir: Path | None,
    cache: Path,
) -> Path:
    """The file of a split's rows, of that name: in the data folder, or the cache, or now fetched.

    Raises:
        DatasetError: as `rows`; the way out is the command that makes the local copy.
    """
    if data_dir and (data_dir / name).is_file():
        return data_dir / name
    make = command(repository, config, split, (data_dir or Path("DATA_DIR")) / name)
    remedy = f"Where the hub can be reached, run: {make} ; then give the folder with --data-dir"
    return keep(cache / name, lambda: rows(repository, config, split, remedy))


def keep(target: Path, lines: Callable[[], Iterator[Row] | Iterator[str]]) -> Path:
    """A file that is written once, whole or not at all: texts, or objects as JSON, one a line.

    Raises:
        DatasetError: as `rows`, or the file cannot be written.
    """
    if target.is_file():
        return target
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            for line in lines():
                file.write((line.encode() if isinstance(line, str) else orjson.dumps(line)) + b"\n")
        partial.replace(target)
    except OSError as error:
        raise DatasetError(f"{target} cannot be written", cause=str(error)) from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _reason(error: Exception) -> str:
    """The first line of the error, or of its cause where that says more."""
    cause = error.__cause__ or error
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__)
