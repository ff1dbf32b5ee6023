"""XML of any shape."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from data.blocks import Block
from data.cleaning import inline, without_blobs
from data.errors import UnreadableFile
from data.loaders.making import line, paragraph

_DEEPEST = 200
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


def _element(node: Element, path: tuple[str, ...], depth: int) -> Iterator[Block]:
    name = _local(node.tag)
    here = (*path[-4:], name) if depth else ()
    if _is_mixed(node):
        text = inline(without_blobs("".join(node.itertext())))
        if text:
            yield paragraph(text)
        return
    values = [
        f"{_local(key)}: {inline(value)}" for key, value in node.attrib.items() if value.strip()
    ]
    inner = []
    for child in node:
        text = inline(without_blobs(child.text or ""))
        if len(child) or (child.attrib and not text):
            inner.append(child)
        elif text or child.attrib:
            extra = "".join(f" ({_local(k)}: {inline(v)})" for k, v in child.attrib.items())
            values.append(f"{_local(child.tag)}: {text}{extra}")
    text = inline(without_blobs(node.text or ""))
    if text:
        values.append(text)
    if values:
        yield line(f"{' / '.join(here)}: {'; '.join(values)}" if here else "; ".join(values))
    if depth < _DEEPEST:
        for child in inner:
            yield from _element(child, here, depth + 1)


def _source(raw: bytes) -> bytes | str:
    """What expat reads: it knows no encodings of several bytes but those of Unicode."""
    declared = _DECLARED.match(raw)
    if declared is None or declared[1].lower().startswith((b"utf", b"us-ascii", b"iso-8859")):
        return raw
    return raw[declared.end() :].decode(declared[1].decode("ascii"))


def _is_mixed(node: Element) -> bool:
    """Whether running text goes on behind a child."""
    return any((child.tail or "").strip() for child in node)


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]
