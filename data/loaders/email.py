"""E-mail messages (RFC 5322 with MIME): who, when, what, and what is attached."""

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage
from pathlib import Path

from data.blocks import Block, Loaded, LoadWarning
from data.cleaning import inline
from data.components import BY_ENDING
from data.errors import UnreadableFile
from data.loaders.attachments import DEEPEST, Attachments
from data.loaders.encodings import declared_encoding, decode
from data.loaders.html import blocks, parse
from data.loaders.making import heading, line, paragraph
from data.loaders.replies import marked

_HEADERS = ("From", "To", "Cc", "Date")
_NEEDED = frozenset({"from", "to", "subject", "date", "received", "message-id", "return-path"})
_MUCH, _MOST = 0.3, 0.5
"""Shares of words that one part of the body has and the other lacks."""
_STUB_WORDS = 12
"""A plain part with fewer words than this says no more than that there is a page."""
_WORD = re.compile(r"\w+")


def load(path: Path) -> Iterator[Loaded]:
    """Blocks of one message: subject (the heading), sender, receivers, date, body, attachments.

    What it quotes of an older one begins with "> " line by line. The plain body is preferred to
    the HTML one unless that says more. Forwarded messages and attachments of readable kinds
    are read below headings of their own. Raises UnreadableFile for a file without any header of a
    message.
    """
    yield from message(path.read_bytes(), path.name, Attachments(message), 0)


def message(raw: bytes, name: str, attachments: Attachments, depth: int) -> Iterator[Loaded]:
    """The blocks of a message, `depth` messages below the file's own."""
    parsed = message_from_bytes(raw, policy=policy.default)
    if not isinstance(parsed, EmailMessage) or _NEEDED.isdisjoint(map(str.lower, parsed.keys())):
        raise UnreadableFile(
            f"cannot read {name}", cause="it has none of the headers of an e-mail message"
        )
    yield from _blocks(parsed, attachments, depth)


def _blocks(parsed: EmailMessage, attachments: Attachments, depth: int) -> Iterator[Loaded]:
    yield heading(1, _header(parsed, "Subject"))
    for name in _HEADERS:
        value = inline(_header(parsed, name))
        if value:
            yield line(f"{name}: {value}")
    used = yield from _body(parsed)
    for part in _rest(parsed, used):
        yield from _attached(part, attachments, depth)


def _header(parsed: EmailMessage, name: str) -> str:
    """A header as text; a malformed one as far as it can be read."""
    try:
        return str(parsed.get(name, ""))
    except (ValueError, IndexError, MessageError):
        raw = next((value for key, value in parsed.raw_items() if key.lower() == name.lower()), "")
        return str(raw)


def _body(parsed: EmailMessage) -> Generator[Loaded, None, list[EmailMessage]]:
    """The blocks of the body; returns the parts that are it."""
    parts = _body_parts(parsed)
    plain = next((part for part in parts if part.get_content_subtype() == "plain"), None)
    html = next((part for part in parts if part is not plain), None)
    text, warnings = _text(plain) if plain else ("", ())
    shown = list(_page(html)) if html else []
    yield from body_blocks(text, warnings, shown)
    return parts


def body_blocks(
    text: str, warnings: Iterable[LoadWarning], shown: Sequence[Loaded]
) -> Iterator[Loaded]:
    """What the plain part of a body says, or the blocks of its page where that says more."""
    page = " ".join(one.text for one in shown if isinstance(one, Block))
    page_has_more = _share_lacking(page, text) > _MUCH and len(page) > len(text)
    differs = len(text.split()) >= _STUB_WORDS and _share_lacking(text, page) > _MOST
    if not page_has_more or differs:
        yield from warnings
        yield from marked(map(paragraph, text.split("\n\n")))
    if page_has_more:
        yield from marked(shown)


def _body_parts(parsed: EmailMessage) -> list[EmailMessage]:
    """The plain part and the page that says the same, or the first of both that there is."""
    found = (parsed.get_body(("plain",)), parsed.get_body(("html",)))
    parts = [part for part in found if isinstance(part, EmailMessage)]
    for whole in parsed.walk():
        inside = {id(part) for part in whole.walk()}
        if whole.get_content_type() == "multipart/alternative" and inside.issuperset(
            map(id, parts)
        ):
            return parts
    return [part for part in parsed.walk() if any(part is each for each in parts)][:1]


def _share_lacking(text: str, other: str) -> float:
    """How many of the different words of a text another one lacks (0 to 1)."""
    words = set(_WORD.findall(text.lower()))
    return len(words - set(_WORD.findall(other.lower()))) / max(1, len(words))


def _page(part: EmailMessage) -> Iterator[Loaded]:
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    yield from blocks(parse(raw, declared_encoding(raw, part.get_content_charset())))


def _text(part: EmailMessage) -> tuple[str, tuple[LoadWarning, ...]]:
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    try:
        code = declared_encoding(raw, part.get_content_charset("utf-8"))
        return raw.decode(code or "").replace("\r\n", "\n"), ()
    except (LookupError, UnicodeDecodeError):
        decoded = decode(raw, "the body") if raw else None
        return (decoded.text, decoded.warnings) if decoded else ("", ())


def _rest(parsed: EmailMessage, used: list[EmailMessage]) -> Iterator[EmailMessage]:
    """The parts beside the body, in order; a message in the message is one part."""
    todo: list[EmailMessage] = [parsed]
    alternative: set[int] = set()
    while todo:
        part = todo.pop()
        if part.get_content_type() == "message/rfc822":
            yield part
        elif part.is_multipart():
            children = [child for child in part.get_payload() if isinstance(child, EmailMessage)]
            if part.get_content_type() == "multipart/alternative":
                alternative.update(id(child) for child in children)
            todo.extend(reversed(children))
        elif not any(part is each for each in used) and id(part) not in alternative:
            yield part


def _attached(part: EmailMessage, attachments: Attachments, depth: int) -> Iterator[Loaded]:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        first = inner[0] if isinstance(inner, list) and inner else None
        if not isinstance(first, EmailMessage):
            return
        if depth >= DEEPEST:
            yield LoadWarning("a forwarded message is not read: it lies too deep")
            return
        yield heading(2, "Forwarded message")
        yield from _blocks(first, attachments, depth + 1)
        return
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    name = part.get_filename() or ""
    if part.get_content_maintype() == "text" and Path(name).suffix.lower() not in BY_ENDING:
        if name:
            yield heading(2, f"Attachment: {inline(name)}")
        kind = part.get_content_subtype()
        if kind == "html":
            yield from _page(part)
        else:
            text, warnings = _text(part)
            yield from warnings
            yield from map(paragraph, text.split("\n\n"))
        return
    if part.get_content_maintype() == "image" and (
        part.get_content_disposition() == "inline" or (part["Content-ID"] and not name)
    ):
        return  # a picture in the text
    yield from attachments.blocks(name or f"without a name ({part.get_content_type()})", raw, depth)
