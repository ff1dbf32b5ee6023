"""What the panels of the page share."""

from importlib import resources
from typing import Any, Final

import gradio as gr
from starlette.requests import HTTPConnection

from rag_app.accounts.rights import Right, forbidden
from rag_app.service import Service
from rag_app.web.access import Access
from ui import rendering
from ui.suggestions import suggestions

Updates = dict[Any, Any]
"""New values of some components, by component."""
_QUIET: Final[dict[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}
STREAMED: Final[dict[str, Any]] = {**_QUIET, "concurrency_limit": None}
AT_ONCE: Final[dict[str, Any]] = {**_QUIET, "queue": False}
"""Not over the page's one stream, which Gradio closes when an event ends; an event that begins at
that very moment is lost with it, so that as few events as possible may use it. An event that comes
while one of the same kind is under way is dropped."""
EACH: Final[dict[str, Any]] = {**AT_ONCE, "trigger_mode": "multiple"}
"""None is dropped."""
NEWEST: Final[dict[str, Any]] = {**AT_ONCE, "trigger_mode": "always_last"}
"""One follows those that come meanwhile: with the newest inputs, but the first one's event data."""


def connection(request: gr.Request) -> HTTPConnection:
    """The connection that an event came over."""
    assert request.request is not None  # noqa: S101 - events come over HTTP
    return request.request


def visitor_of(access: Access, request: gr.Request) -> str:
    """Whose browser an event came from."""
    return access.visitor(connection(request))


def require_right(access: Access, request: gr.Request, right: Right = "write") -> None:
    """Raise ApplicationError for whoever has a right nowhere; where, the service asks then."""
    person = access.person(connection(request))
    if not person.could(right):
        raise forbidden(person, right)


def has_right(access: Access, request: gr.Request, right: Right, collection: str) -> bool:
    """Whether a person has a right in a collection, for what is done there by no service."""
    owner = access.users.owner(collection) if access.users else ""
    return access.person(connection(request)).may(right, collection, owner)


async def welcome(service: Service, collection: str, filled: bool) -> str:
    """What stands where the conversation will be, with questions that the documents may answer."""
    offers = await suggestions(service, collection) if filled else ()
    return rendering.welcome(offers, not filled)


def text_of(event: gr.EventData, name: str) -> str:
    """What a page sent with an event; it may be anything."""
    data = event._data if isinstance(event._data, dict) else {}
    return str(data.get(name, ""))


def number(text: str) -> int:
    """A number that a page sent; 0, which no turn and no citation has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def shipped(name: str) -> str:
    """A file that ships with the page."""
    return (resources.files("ui") / name).read_text("utf-8")
