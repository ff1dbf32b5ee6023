"""HTML of the documents panel, and of a document as it was read.

Names and contents are other people's words: each goes through `html.escape`, or into an address as
a quoted part.
"""

from collections.abc import Sequence
from html import escape
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote

from data.rendering import as_markdown
from rag_app.results import DocumentContent, DocumentInfo
from ui.languages import lang
from ui.passage import render
from ui.rendering import hint
from ui.summaries import summarise

ORIGINALS: Final = "/originals/"
"""Where the original files are, a folder a collection."""
_MOST: Final = 200_000
"""Characters of a document that are shown."""
_SHORT: Final = 1500
"""Characters of a document that needs no summary."""
_SEARCHED: Final = 6
"""Documents from which on there is a field that searches them."""


def new_collection_button() -> str:
    """Opens the dialog that makes a collection."""
    return (
        '<button type="button" class="icon" data-opens="new-collection" '
        'aria-label="New collection" title="New collection">+</button>'
    )


def connect_button() -> str:
    """Opens the dialog that connects a language model; on a phone the header has no room for it."""
    return _opening("connect-model", "Connect a language model")


def add_source_button() -> str:
    """Opens the dialog that asks for a folder or an address."""
    return _opening("add-source", "Add a folder or a web address")


def _opening(dialog: str, label: str) -> str:
    return f'<button type="button" class="link" data-opens="{dialog}">{label}</button>'


def documents(
    found: Sequence[DocumentInfo],
    collection: str = "",
    *,
    exists: bool = False,
    under_way: bool = False,
    owner: str | None = None,
) -> str:
    """The documents of a collection, each with what can be done with it, and with all.

    Args:
        found: the documents.
        collection: its name.
        exists: whether it is there already.
        under_way: whether documents are being added: then none of them is left interrupted.
        owner: whom it is private to; empty where all users share it, None where that is not shown.
    """
    acts = [
        ("rename", "Rename collection"),
        ("reingest", "Read all anew"),
        ("drop", "Delete this collection"),
    ]
    sharing = ""
    if exists and owner is not None:
        acts.append(("share", "Share with all users") if owner else ("unshare", "Make private"))
        whose = f"Private to {escape(owner)}" if owner else "Shared with all users"
        sharing = f'<p class="sharing">{whose}</p>'
    button = '<button type="button" class="link" data-act="{}" data-collection="{}">{}</button>'
    buttons = "".join(
        button.format(act, escape(collection), label)
        for act, label in acts
        if exists and (found or act != "reingest")
    )
    whole = f'{sharing}<p class="whole">{buttons}</p>' if buttons else ""
    if not found:
        return hint("No documents yet.") + whole
    search = (
        '<input type="search" class="find" aria-label="Search the documents" '
        'placeholder="Search the documents">'
    )
    rows = "".join(_document(document, collection, under_way) for document in found)
    return (
        f"{search if len(found) >= _SEARCHED else ''}"
        '<p class="limit" aria-live="polite">Check documents to ask only them.</p>'
        f'<ul class="documents" data-collection="{escape(collection)}">{rows}</ul>{whole}'
    )


def _document(document: DocumentInfo, collection: str, under_way: bool) -> str:
    name, source = escape(document.source), document.source
    passages = f"{document.passages} passage{'' if document.passages == 1 else 's'}"
    state = "being read" if under_way and document.state == "interrupted" else document.state
    about = passages if state == "ready" else escape(state)
    if document.failure:  # the status has said it at once
        about = f"<details><summary>{about}</summary>{escape(document.failure)}</details>"
    kind = escape(PurePosixPath(source).suffix[1:5].upper() or "?")
    check = (
        f'<input type="checkbox" class="only" value="{name}" aria-label="Ask only {name}">'
        if document.passages
        else ""
    )
    attributes = f'data-collection="{escape(collection)}" data-source="{name}"'
    address = f"{ORIGINALS}{quote(collection)}?source={quote(source, safe='', errors='replace')}"
    return (
        f'<li class="{escape(state)}">{check}<i class="kind" aria-hidden="true">{kind}</i>'
        f'<span><button type="button" class="name" dir="auto" data-act="open" {attributes} '
        f'title="Read {name}">{name}</button><small>{about}</small></span>'
        f'<a href="{escape(address)}" download aria-label="Download {name}" title="Download">↓</a>'
        f'<button type="button" class="act-on" data-act="reingest" {attributes} '
        f'aria-label="Read {name} anew" title="Read anew from the original">↻</button>'
        f'<button type="button" class="act-on" data-act="delete" {attributes} '
        f'aria-label="Delete {name}" title="Delete">×</button></li>'
    )


def document(
    content: DocumentContent,
    collection: str = "",
    *,
    has_model: bool = False,
    model_summary: str = "",
) -> str:
    """A document as it was read, with what was not, and in short.

    Args:
        content: the document.
        collection: where it lies.
        has_model: whether a language model may be asked for a summary.
        model_summary: what it has written.
    """
    text = as_markdown(content.blocks)
    ask = (
        f'<button type="button" class="link" data-act="summarise" data-collection="'
        f'{escape(collection)}" data-source="{escape(content.source)}">Summarise</button>'
        if has_model
        else ""
    )
    short = _summary(content, model_summary) if model_summary or len(text) > _SHORT else ""
    cut = "<p class=note>The rest is left out here.</p>" if len(text) > _MOST else ""
    warnings = "".join(
        f"<li>{escape(one.reason)}{f' (page {one.page})' if one.page else ''}</li>"
        for one in content.warnings[:100]
    )
    left_out = f'<ul class="warnings">{warnings}</ul>' if warnings else ""
    return (
        f'<section class="passage"><header><div><h3 dir="auto">{escape(content.source)}</h3>'
        f'<p class="where">as it was read</p></div>{ask}</header>'
        f'{short}{left_out}<div class="page" tabindex="0"{lang(text)}>'
        f"{render(text[:_MOST], [])}</div>{cut}</section>"
    )


def _summary(content: DocumentContent, model_summary: str) -> str:
    summary = summarise(content.blocks)
    lines = [model_summary or summary.opening]
    if not model_summary:
        lines.append(" · ".join(summary.headings))
    shown = "".join(f'<p dir="auto"{lang(line)}>{escape(line)}</p>' for line in lines if line)
    return f'<div class="summary">{shown}</div>' if shown else ""
