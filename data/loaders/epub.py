"""EPUB books: the pages of the spine, read like HTML."""

import posixpath
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from data.blocks import Block
from data.cleaning import inline
from data.errors import UnreadableFile
from data.loaders.html import blocks, parse
from data.loaders.making import heading, line

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_METADATA = ("title", "creator", "publisher", "date")
_PAGES = frozenset({"application/xhtml+xml", "text/html"})


def load(path: Path) -> Iterator[Block]:
    """Blocks in reading order (EPUB 3.3 §5.7: the spine of the package document).

    A book has no fixed pages, so offsets count in the text of the whole book. Files that the
    package names but the container lacks are skipped. Raises UnreadableFile for a damaged book
    and for one under digital rights management.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield from _blocks(archive)
    except (zipfile.BadZipFile, KeyError, ParseError, DefusedXmlException) as error:
        raise UnreadableFile(
            f"cannot read {path.name}", cause="it is damaged or not an EPUB book"
        ) from error


def _blocks(archive: zipfile.ZipFile) -> Iterator[Block]:
    names = set(archive.namelist())
    locked = _locked(archive) if _ENCRYPTION in names else frozenset()
    name, package = _package(archive)
    yield from _metadata(package)
    for page in dict.fromkeys(_spine(name, package)):  # a chapter is read once, however often named
        if page in locked:
            raise UnreadableFile(
                "cannot read the book",
                cause="it is encrypted (digital rights management)",
                hint="Use a copy without it",
            )
        if page in names:
            yield from blocks(parse(archive.read(page)))


def _locked(archive: zipfile.ZipFile) -> frozenset[str]:
    """Encrypted members; books may encrypt no more than their fonts."""
    tree = fromstring(archive.read(_ENCRYPTION))
    return frozenset(unquote(node.get("URI", "")) for node in _all(tree, "CipherReference"))


def _package(archive: zipfile.ZipFile) -> tuple[str, Element]:
    """The package document, which says what the book consists of, and its name."""
    rootfile = next(iter(_all(fromstring(archive.read(_CONTAINER)), "rootfile")), None)
    if rootfile is None:
        raise KeyError("rootfile")
    name = unquote(rootfile.get("full-path", ""))
    return name, fromstring(archive.read(name))


def _metadata(package: Element) -> Iterator[Block]:
    """The title of the book as a heading, and who made it."""
    metadata = {name: [node.text or "" for node in _all(package, name)] for name in _METADATA}
    yield from (heading(0, text) for text in metadata.pop("title")[:1])
    for name, texts in metadata.items():
        if any(map(inline, texts)):
            yield line(f"{name.capitalize()}: {', '.join(map(inline, texts))}")


def _spine(package_name: str, package: Element) -> list[str]:
    """Names of the pages in reading order."""
    folder = posixpath.dirname(package_name)
    pages = {
        item.get("id"): posixpath.normpath(
            posixpath.join(folder, unquote(urldefrag(item.get("href", ""))[0]))
        )
        for item in _all(package, "item")
        if item.get("media-type") in _PAGES
    }
    order = (reference.get("idref") for reference in _all(package, "itemref"))
    return [pages[name] for name in order if name in pages]


def _all(tree: Element, name: str) -> list[Element]:
    """Descendants by local name, whatever their namespace."""
    return [node for node in tree.iter() if node.tag.rpartition("}")[2] == name]
