"""Loaders, one file a format family; each is imported when the first such file comes."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from data.blocks import Loaded, Scan
from data.errors import UnreadableFile
from data.limits import Limits
from data.loaders.making import captioned, tidied

LOADERS: dict[str, str] = {
    ".csv": "csv",
    ".docm": "docx",
    ".docx": "docx",
    ".eml": "email",
    ".epub": "epub",
    ".htm": "html",
    ".html": "html",
    ".jpeg": "images",
    ".jpg": "images",
    ".json": "json",
    ".jsonl": "jsonl",
    ".log": "text",
    ".markdown": "markdown",
    ".md": "markdown",
    ".msg": "msg",
    ".ndjson": "jsonl",
    ".odt": "odt",
    ".pdf": "pdf",
    ".png": "images",
    ".pptm": "pptx",
    ".pptx": "pptx",
    ".rst": "text",
    ".rtf": "rtf",
    ".text": "text",
    ".tif": "images",
    ".tiff": "images",
    ".tsv": "csv",
    ".txt": "text",
    ".xhtml": "html",
    ".xlsm": "xlsx",
    ".xlsx": "xlsx",
    ".xml": "xml",
    **dict.fromkeys(
        [
            ".bash",
            ".c",
            ".cc",
            ".cfg",
            ".conf",
            ".cpp",
            ".cs",
            ".css",
            ".go",
            ".h",
            ".hpp",
            ".ini",
            ".java",
            ".jl",
            ".js",
            ".jsx",
            ".kt",
            ".lua",
            ".mjs",
            ".php",
            ".pl",
            ".properties",
            ".ps1",
            ".py",
            ".pyi",
            ".r",
            ".rb",
            ".rs",
            ".scala",
            ".sh",
            ".sql",
            ".swift",
            ".tex",
            ".toml",
            ".ts",
            ".tsx",
            ".yaml",
            ".yml",
        ],
        "code",
    ),
}
"""File name extension -> kind, which is the name of the loader's module."""

SUPPORTED: frozenset[str] = frozenset(LOADERS)
"""The extensions that can be read, lower case, with their dot."""

STREAMED: frozenset[str] = frozenset({"jsonl"})
"""Kinds that are read line by line, so that the file may be larger than memory."""


def load(path: Path, kind: str) -> Iterator[Loaded | Scan]:
    """The blocks of a file, and warnings about it, by the loader of its kind (see `sniff`).

    Raises UnreadableFile as the loader does, and ValueError for a kind that does not exist. A
    damaged file may also raise what the library beneath raises: run it through `data.parsing`.
    """
    if kind not in LOADERS.values():
        raise ValueError(f"kind must be one of {sorted(set(LOADERS.values()))}, got {kind!r}")
    loaded: Iterator[Loaded | Scan] = import_module(f"data.loaders.{kind}").load(path)
    return captioned(tidied(loaded))


def require_size(name: str, size: int, limits: Limits) -> None:
    """Raise UnreadableFile where a file of that name and size in bytes is too large."""
    from data.loaders.content import check_size

    check_size(size, name, LOADERS.get(Path(name).suffix.lower(), ""), limits)


def sniff(path: Path, name: str = "", limits: Limits | None = None) -> str:
    """The kind of a file by extension and content, which must agree.

    `name` is the name its owner gave it, where that is not the name of `path`. Sizes, and for
    zip containers the members, are held against `limits`. Raises UnreadableFile with the reason.
    """
    from data.loaders.content import check

    name = name or path.name
    extension = Path(name).suffix.lower()
    kind = LOADERS.get(extension)
    if kind is None:
        raise UnreadableFile(
            f"cannot read {name}",
            cause=f"files of type {extension or '(no extension)'} are not supported",
            hint=f"Supported are {' '.join(sorted(SUPPORTED))}",
        )
    check(path, name, kind, limits or Limits())
    return kind
