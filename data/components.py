"""The rows of what reads documents and of what cuts them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from data.registry import Row, registry


@dataclass(frozen=True, slots=True)
class FileType(Row):
    """A kind of files; its path names what yields the blocks of one (`data.blocks`).

    Attributes:
        endings: of file names, lower case, with their dot.
        streamed: whether it is read line by line, so that a file may be larger than memory.
    """

    endings: tuple[str, ...] = ()
    streamed: bool = False


def _type(
    name: str, title: str, endings: str, *, needs: str = "", streamed: bool = False
) -> FileType:
    dotted = tuple(f".{ending}" for ending in endings.split())
    return FileType(name, f"data.loaders.{name}:load", title, needs, dotted, streamed)


LOADERS = registry(
    _type("docx", "Word", "docx docm"),
    _type("xlsx", "Excel", "xlsx xlsm"),
    _type("pptx", "PowerPoint", "pptx pptm"),
    _type("odt", "OpenDocument text", "odt"),
    _type("pdf", "PDF; scans need rag-app[ocr]", "pdf"),
    _type("images", "pictures of pages", "png jpg jpeg tif tiff", needs="rag-app[ocr]"),
    _type("html", "web pages", "html htm xhtml"),
    _type("epub", "EPUB books", "epub"),
    _type("markdown", "Markdown", "md markdown"),
    _type("text", "plain text, logs, chats", "txt text log rst"),
    _type("csv", "tables of text", "csv tsv"),
    _type("json", "JSON", "json"),
    _type("jsonl", "passages, or objects, one a line", "jsonl ndjson", streamed=True),
    _type("xml", "XML", "xml"),
    _type("rtf", "rich text", "rtf"),
    _type("email", "e-mail", "eml"),
    _type("msg", "Outlook messages", "msg"),
    _type(
        "code",
        "source code and settings",
        "bash c cc cfg conf cpp cs css go h hpp ini java jl js jsx kt lua mjs php pl properties "
        "ps1 py pyi r rb rs scala sh sql swift tex toml ts tsx yaml yml",
    ),
)
"""What a file is read by, the kinds of files."""

BY_ENDING: Mapping[str, FileType] = MappingProxyType(
    {ending: kind for kind in LOADERS.values() for ending in kind.endings}
)

SPLITTERS = registry(
    Row("blocks", "data.splitting:Splitter", "packs sentences, rows and lines of blocks")
)
