"""XML of any shape."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from data.blocks import Block
from data.cleaning import inline, without_blobs
from data.errors import UnreadableFile
from data.loaders.html import blocks, parse
from data.loaders.making import heading, line, paragraph
from data.loaders.records import name_of
from data.loaders.scripts import lowered, raised, with_fractions

_DEEPEST = 200
_TAGS = re.compile(r"</[a-z][a-z0-9]*>|<br\s*/?>")
_SCRIPTS = {"sup": raised, "superscript": raised, "sub": lowered, "subscript": lowered}
_DECLARED = re.compile(
    rb"""<\?xml\s[^>]{0,80}?encoding\s*=\s*["']([\w.:-]{1,40})["'][^>]{0,80}\?>"""
)


def load(path: Path) -> Iterator[Block]:
    """A line for every element with what its attributes and simple children say, behind its path.

    An element with text between its children is a paragraph. Raises UnreadableFile for what is not
    well-formed, or declares entities.
    """
    try:
        root = fromstring(_source(path.read_bytes()))
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise UnreadableFile(
            f"cannot read {path.name}", cause=f"it is not well-formed XML ({error})"
        ) from error
    yield from _element(root, (), 0)


def _element(
    node: Element, path: tuple[str, ...], depth: int, *, listed: bool = False
) -> Iterator[Block]:
    name = _local(node.tag)
    here = (*path[-4:], name) if depth else ()
    if _is_mixed(node):
        if text := _plain(_mixed(node)):
            yield paragraph(text)
        return
    simple = [(_local(key), inline(value)) for key, value in node.attrib.items() if value.strip()]
    values = [f"{key}: {value}" for key, value in simple]
    running = any(map(_is_mixed, node))  # where the order matters more than the names do
    inner: list[Element] = []
    for child in node:
        text = _plain(child.text or "")
        if running or len(child) or (child.attrib and not text):
            inner.append(child)
        elif text or child.attrib:
            extra = "".join(f" ({_local(k)}: {inline(v)})" for k, v in child.attrib.items())
            values.append(f"{_local(child.tag)}: {text}{extra}")
            simple.append((_local(child.tag), text))
    values += filter(None, [_plain(node.text or "")])
    if values:
        yield line(f"{' / '.join(here)}: {'; '.join(values)}" if here else "; ".join(values))
    many = Counter(child.tag for child in inner)
    below = (*here, *name_of(simple)) if listed else here
    for child in inner:
        if running and not len(child):
            yield from _running(child, depth)
        elif depth < _DEEPEST:
            yield from _element(child, below, depth + 1, listed=many[child.tag] > 1)


def _running(leaf: Element, depth: int) -> Iterator[Block]:
    """A heading or a paragraph of running text."""
    if text := _plain(leaf.text or ""):
        title = _local(leaf.tag) == "title"
        yield heading(min(depth, 5) + 1, text) if title else paragraph(text)


def _source(raw: bytes) -> bytes | str:
    """What expat reads: it knows no encodings of several bytes but those of Unicode."""
    declared = _DECLARED.match(raw)
    if declared is None or declared[1].lower().startswith((b"utf", b"us-ascii", b"iso-8859")):
        return raw
    return raw[declared.end() :].decode(declared[1].decode("ascii"))


def _is_mixed(node: Element) -> bool:
    """Whether running text goes on behind a child."""
    return any((child.tail or "").strip() for child in node)


def _plain(text: str) -> str:
    """Text on one line; that of a page is read as one, as news feeds carry them."""
    if _TAGS.search(text):
        text = " ".join(block.text for block in blocks(parse(text)))
    return inline(without_blobs(text))


def _mixed(node: Element) -> str:
    """The text of an element, raised and lowered as the elements in it say."""
    parts = [node.text or ""]
    for child in node:
        script = _SCRIPTS.get(_local(child.tag), str)
        parts += [script("".join(child.itertext())), child.tail or ""]
    return with_fractions("".join(parts))


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]
