"""Question answering over a person's own documents: settings in, answers with evidence out."""

from typing import TYPE_CHECKING

try:
    from data.exports import lazy
except ImportError as error:
    import data

    raise ImportError(
        f"the package `data` of rag-app is hidden by {data!r}; docs/llamaindex.md tells what to do"
    ) from error

if TYPE_CHECKING:
    from rag_app.assembly.application import open_application
    from rag_app.remote.opening import connect, open_service
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
    "connect",
    "load_settings",
    "open_application",
    "open_service",
]

__getattr__ = lazy(
    "rag_app",
    {
        "assembly.application": ("open_application",),
        "remote.opening": ("connect", "open_service"),
        "results": ("Answer", "Hit", "SearchResult"),
        "service": ("QueryOptions", "Service"),
        "settings": ("Settings", "load_settings"),
    },
    below=("retrieval", "generation"),
)
