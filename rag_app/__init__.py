"""Question answering over a person's own documents: settings in, answers with evidence out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_app.assembly.application import open_application
    from rag_app.remote.opening import open_service
    from rag_app.results import Answer, Hit, SearchResult
    from rag_app.service import QueryOptions, Service
    from rag_app.settings import Settings, load_settings

__all__ = [
    "Answer",
    "Hit",
    "QueryOptions",
    "SearchResult",
    "Service",
    "Settings",
    "load_settings",
    "open_application",
    "open_service",
]
_HOMES = {
    "assembly.application": ("open_application",),
    "remote.opening": ("open_service",),
    "results": ("Answer", "Hit", "SearchResult"),
    "service": ("QueryOptions", "Service"),
    "settings": ("Settings", "load_settings"),
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first used (PEP 562)."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"rag_app.{home}"), name)
    raise AttributeError(f"module 'rag_app' has no attribute {name!r}")
