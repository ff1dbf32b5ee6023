"""What the application can do, as one interface: faces use it and need not know where it runs."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Protocol

from llama_index.core.base.llms.types import ChatMessage
from pydantic import BaseModel, ConfigDict, Field

from rag_app.ingest import IngestReport, OnProgress
from rag_app.pipeline import AskEvent
from rag_app.results import CollectionInfo, DocumentInfo, PassageContext, SearchResult
from rag_app.settings import FusionName, ReaderName, RetrieverName


class QueryOptions(BaseModel):
    """What a person may choose for one question; None leaves it as the settings have it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retriever: RetrieverName | None = None
    top_k: int | None = Field(None, ge=1, le=1000)
    candidates: int | None = Field(None, ge=1, le=10_000)
    fusion: FusionName | None = None
    weight: float | None = Field(None, ge=0, le=1)
    rewrite: str | None = None
    rerank: str | None = None
    reader: ReaderName | None = None
    passages: int | None = Field(None, ge=0, le=100)
    sources: tuple[str, ...] = ()

    def overrides(self) -> dict[str, Any]:
        """As a settings tree; keys that were not chosen are None."""
        return {
            "retrieval": {
                "retriever": self.retriever,
                "top_k": self.top_k,
                "candidates": self.candidates,
                "fusion": self.fusion,
                "weight": self.weight,
            },
            "rewrite": {"kind": self.rewrite},
            "rerank": {"kind": self.rerank},
            "reader": {"kind": self.reader, "passages": self.passages},
        }


DEFAULT_OPTIONS = QueryOptions()


class Service(Protocol):
    """The application, in this process or behind another one's address.

    Every call may raise one of `rag_app.errors.EXPECTED`.
    """

    async def collections(self) -> list[CollectionInfo]:
        """All collections, by name."""
        ...

    async def drop_collection(self, name: str) -> None:
        """Delete a collection, its index and its original files."""
        ...

    async def rebuild_collection(
        self, name: str, on_progress: OnProgress | None = None
    ) -> IngestReport:
        """Build a collection anew from its originals, with the present settings."""
        ...

    async def documents(self, collection: str) -> list[DocumentInfo]:
        """All documents of a collection, by source."""
        ...

    async def delete_document(self, collection: str, source: str) -> bool:
        """Delete a document; False where there is none of that name."""
        ...

    async def ingest(
        self, collection: str, paths: Sequence[Path], on_progress: OnProgress | None = None
    ) -> IngestReport:
        """Take files and folders into a collection, which is made if need be."""
        ...

    async def search(
        self, collection: str, question: str, options: QueryOptions = DEFAULT_OPTIONS
    ) -> SearchResult:
        """Passages for a question."""
        ...

    def ask(
        self,
        collection: str,
        question: str,
        history: Sequence[ChatMessage] = (),
        options: QueryOptions = DEFAULT_OPTIONS,
    ) -> AsyncGenerator[AskEvent, None]:
        """Answer a question; see `rag_app.pipeline.Pipeline.ask` for what is yielded."""
        ...

    async def context(self, collection: str, chunk_id: str) -> PassageContext:
        """A passage with its neighbours on the same page."""
        ...

    async def close(self) -> None:
        """Release what is held."""
        ...
