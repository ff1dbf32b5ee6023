"""E-mail messages (RFC 5322 with MIME): who, when, what; attachments are named, not opened."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage
from pathlib import Path

from data.blocks import Block
from data.cleaning import inline
from data.errors import UnreadableFile
from data.loaders.html import blocks, parse
from data.loaders.making import heading, line, paragraph
from data.loaders.text import decode

_HEADERS = ("From", "To", "Cc", "Date")
_NEEDED = frozenset({"from", "to", "subject", "date", "received", "message-id", "return-path"})


def load(path: Path) -> Iterator[Block]:
    """Blocks of one message: subject (the heading), sender, receivers, date, body, attachments.

    The plain body is preferred to the HTML one. Offsets count in the text given out. Raises
    UnreadableFile for a file without any header of a message.
    """
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    if not isinstance(message, EmailMessage) or _NEEDED.isdisjoint(map(str.lower, message.keys())):
        raise UnreadableFile(
            f"cannot read {path.name}", cause="it has none of the headers of an e-mail message"
        )
    yield from _blocks(message)


def _blocks(message: EmailMessage) -> Iterator[Block]:
    yield heading(1, _header(message, "Subject"))
    for name in _HEADERS:
        value = inline(_header(message, name))
        if value:
            yield line(f"{name}: {value}")
    body = message.get_body(("plain", "html"))
    if isinstance(body, EmailMessage):
        yield from _body(body)
    for part in message.iter_attachments() if message.is_multipart() else ():
        yield line(f"Attachment: {_attachment(part)}")


def _header(message: EmailMessage, name: str) -> str:
    """A header as text; a malformed one as far as it can be read."""
    try:
        return str(message.get(name, ""))
    except (ValueError, IndexError, MessageError):
        raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
        return str(raw)


def _body(part: EmailMessage) -> Iterator[Block]:
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    if part.get_content_subtype() == "html":
        yield from blocks(parse(raw, part.get_content_charset()))
        return
    try:
        text = raw.decode(part.get_content_charset() or "utf-8")
    except (LookupError, UnicodeDecodeError):
        text = decode(raw, "the body") if raw else ""
    yield from map(paragraph, text.replace("\r\n", "\n").split("\n\n"))


def _attachment(part: object) -> str:
    if not isinstance(part, EmailMessage):
        return "without a name"
    return f"{inline(part.get_filename() or 'without a name')} ({part.get_content_type()})"
