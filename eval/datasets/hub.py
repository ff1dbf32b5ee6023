"""The Hugging Face hub, and nothing else of `eval`, through the library `datasets`."""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from data.telemetry import silence
from eval.errors import DatasetError

Row = dict[str, Any]


def rows(
    repository: str, config: str | None, split: str, hint: str, columns: Collection[str] = ()
) -> Iterator[Row]:
    """The rows of a split, one at a time; fetched once, and kept in the library's own cache.

    Code that a repository may hold is never run (`datasets` 4 and later cannot).

    Args:
        repository: ``owner/name``, or the name of a packaged builder such as ``json``.
        config: which of its tables; None for the only one.

    Raises:
        DatasetError: there is no connection, no such data set, table, split or column, or it is
            gated.
    """
    what = f"{repository} ({config}, {split})" if config else f"{repository} ({split})"
    datasets = _library()
    try:
        _reach()
        table = datasets.load_dataset(repository, config, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DatasetError(
            f"{what} cannot be loaded from the hub", cause=_reason(error), hint=hint
        ) from error
    lacking = sorted(set(columns) - set(table.column_names))
    if lacking:
        raise DatasetError(f"{what} has no column {lacking[0]}", hint=hint)
    yield from table


def _library() -> Any:
    """The library, told before it is imported to report no use of it.

    Raises DatasetError where the extra `eval` is not installed.
    """
    silence()
    os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"
    try:
        import datasets
    except ImportError as error:
        raise DatasetError(
            "data sets of the hub need the library datasets",
            hint="pip install 'rag-app[eval]'; local copies (--data-dir) need nothing",
        ) from error
    return datasets


def _reach() -> None:
    """Fail at once without a connection, where the library tries for half a minute.

    With HF_HUB_OFFLINE it asks nobody, and what it has kept itself is used.
    """
    import httpx
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE:
        try:
            httpx.head(constants.ENDPOINT, timeout=10)
        except httpx.TransportError as error:
            raise ConnectionError(f"{constants.ENDPOINT} cannot be reached ({error})") from error


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
    repository: str, config: str | None, split: str, name: str, data_dir: Path | None, cache: Path
) -> Path:
    """The file of a split's rows, of that name: in the data folder, or the cache, or now fetched.

    Raises:
        DatasetError: as `rows`; the hint is the command that makes the local copy.
    """
    if data_dir and (data_dir / name).is_file():
        return data_dir / name
    make = command(repository, config, split, (data_dir or Path("DATA_DIR")) / name)
    hint = f"Where the hub can be reached, run: {make} ; then give the folder with --data-dir"
    return keep(cache / name, lambda: rows(repository, config, split, hint))


def keep(target: Path, lines: Callable[[], Iterator[Row] | Iterator[str]]) -> Path:
    """A file that is written once, whole or not at all: texts, or objects as JSON, one a line.

    Raises:
        DatasetError: as `rows`, or the file cannot be written.
    """
    if target.is_file():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=target.parent) as scratch:
            whole = Path(scratch) / target.name
            with whole.open("wb") as file:
                for line in lines():
                    content = line.encode() if isinstance(line, str) else orjson.dumps(line)
                    file.write(content + b"\n")
            whole.replace(target)
    except OSError as error:
        raise DatasetError(f"{target} cannot be written", cause=str(error)) from error
    return target


def _reason(error: Exception) -> str:
    """The first line of the error's message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
