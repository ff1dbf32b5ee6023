"""Outlook messages (.msg): who, when, what, and what is attached."""

import io
from collections.abc import Iterator
from pathlib import Path

from data.blocks import Loaded
from data.errors import UnreadableFile
from data.loaders import email
from data.loaders.attachments import Attachments
from data.loaders.html import blocks, parse
from data.loaders.making import heading, line


def load(path: Path) -> Iterator[Loaded]:
    """Blocks as those of an e-mail message. Raises UnreadableFile for what is none."""
    from oxmsg import Message

    try:
        message = Message.load(io.BytesIO(path.read_bytes()))
        sender, subject, sent = message.sender, message.subject, message.sent_date
        receivers = ", ".join(
            f"{each.name} <{each.email_address}>" if each.email_address else each.name
            for each in message.recipients
        )
        body, html = message.body, message.html_body
    except (OSError, ValueError, LookupError) as error:
        raise UnreadableFile(
            f"cannot read {path.name}", cause="it is damaged or not an Outlook message"
        ) from error
    yield heading(1, subject or "")
    for name, value in (("From", sender), ("To", receivers), ("Date", sent)):
        if value:
            yield line(f"{name}: {value}")
    shown = list(blocks(parse(html.encode(), "utf-8"))) if html else []
    yield from email.body_blocks((body or "").replace("\r\n", "\n"), (), shown)
    attachments = Attachments(email.message)
    for attachment in message.attachments:
        if attachment.file_bytes is not None:
            yield from attachments.blocks(attachment.file_name or "", attachment.file_bytes, 0)
