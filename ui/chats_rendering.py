"""HTML of the list of conversations; every title is somebody's words, and is escaped."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from rag_app.accounts.chats.conversation import ConversationInfo
from ui.languages import lang


def conversations(found: Sequence[ConversationInfo], opened: str, wanted: str = "") -> str:
    """The list.

    Args:
        found: the conversations, the newest first.
        opened: id of the one that is open; the page remembers it over a reload.
        wanted: what was searched for; empty where nothing was.
    """
    rows = "".join(_row(one, one.id == opened) for one in found)
    nothing = "No conversation holds this." if wanted else "Conversations will be kept here."
    shown = f"<ul>{rows}</ul>" if rows else f'<p class="hint">{nothing}</p>'
    return f'<nav class="chats" aria-label="Conversations" data-opened="{opened}">{shown}</nav>'


def _row(one: ConversationInfo, opened: bool) -> str:
    title, current = escape(one.title), ' aria-current="true"' if opened else ""
    about = f"{one.turns} question{'' if one.turns == 1 else 's'} · {_day(one.updated)}"
    button = '<button type="button" data-id="{}" data-title="{}" data-act="{}" {}>{}</button>'
    acts = "".join(
        button.format(one.id, title, act, f'title="{label}" aria-label="{label} {title}"', sign)
        for act, label, sign in (("rename", "Rename", "✎"), ("delete-chat", "Delete", "×"))
    )
    whole = f'class="open" title="{title}"{current}'
    text = f"<span dir=auto{lang(one.title)}>{title}</span><small>{escape(about)}</small>"
    return f"<li>{button.format(one.id, title, 'open', whole, text)}{acts}</li>"


def _day(moment: str) -> str:
    then, now = datetime.fromisoformat(moment), datetime.now(UTC)
    if (now - then).days < 1:
        return f"{then:%H:%M} UTC"
    return f"{then.day} {then:%B}" if then.year == now.year else f"{then.day} {then:%B %Y}"
