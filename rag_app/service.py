"""What the application can do, as one interface: faces use it and need not know where it runs."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, Protocol

from llama_index.core.base.llms.types import ChatMessage
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from data.page_picture import PagePicture
from data.text import well_formed
from rag_app.accounts.chats.chats import Chats
from rag_app.errors import ApplicationError
from rag_app.results import (
    Answer,
    AskEvent,
    BackupReport,
    CollectionInfo,
    DocumentContent,
    DocumentInfo,
    Embeddings,
    EncoderInfo,
    IndexInfo,
    IngestReport,
    OnProgress,
    PassageBatch,
    PassageContext,
    Relevance,
    SearchResult,
)
from rag_app.settings import (
    CondenserName,
    FusionName,
    ReaderName,
    RerankerName,
    RetrieverName,
    RewriterName,
)


def _row_of_registry(name: str) -> str:
    if ":" in name:
        raise ValueError("only settings files and the environment may name a class")
    return name


EncoderName = Annotated[str, AfterValidator(_row_of_registry)]
"""A row of the encoder registry; never the path of a class, which would run anyone's code."""


ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x20\x7f]+$")]
CollectionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class QueryOptions(BaseModel):
    """What a person may choose for one question; None leaves it as the settings have it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: EncoderName | None = None
    retriever: RetrieverName | None = None
    top_k: int | None = Field(None, ge=1, le=1000)
    candidates: int | None = Field(None, ge=1, le=10_000)
    fusion: FusionName | None = None
    weight: float | None = Field(None, ge=0, le=1)
    condense: CondenserName | None = None
    rewrite: RewriterName | None = None
    rerank: RerankerName | None = None
    reader: ReaderName | None = None
    passages: int | None = Field(None, ge=0, le=100)
    model: ModelName | None = Field(
        None, description="Another language model of the server that `llm` names."
    )
    sources: tuple[Annotated[str, AfterValidator(well_formed)], ...] = Field(
        (), description="Documents of the collection; none: all."
    )
    also: tuple[CollectionName, ...] = Field(
        (), max_length=15, description="Other collections that are asked with this one."
    )

    def overrides(self) -> dict[str, Any]:
        """As a settings tree; keys that were not chosen are None."""
        return {
            "encoder": {"name": self.encoder},
            "retrieval": {
                "retriever": self.retriever,
                "top_k": self.top_k,
                "candidates": self.candidates,
                "fusion": self.fusion,
                "weight": self.weight,
            },
            "condense": {"kind": self.condense},
            "rewrite": {"kind": self.rewrite},
            "rerank": {"kind": self.rerank},
            "reader": {"kind": self.reader, "passages": self.passages},
            "llm": {"model": self.model},
        }


DEFAULT_OPTIONS = QueryOptions()


async def answer_of(events: AsyncGenerator[AskEvent, None]) -> Answer:
    """The answer that ends what `Service.ask` yields; raises ApplicationError without one."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Answer):
                return event
    raise ApplicationError("the reader ended without an answer", hint="Ask again")


class Service(Protocol):
    """The application, in this process or behind another one's address.

    Every call may raise RagAppError.

    Attributes:
        chats: the conversations that people have had.
        changes: rises whenever collections may have changed.
        renamed: the names that collections had since the start, and what took their place.
    """

    chats: Chats
    changes: int
    renamed: dict[str, str]

    async def collections(self) -> list[CollectionInfo]:
        """All collections, by name."""
        ...

    async def create_collection(self, name: str) -> None:
        """Make an empty collection; refused where there is one of that name already."""
        ...

    async def drop_collection(self, name: str) -> None:
        """Delete a collection, its indexes and its original files."""
        ...

    async def rename_collection(self, name: str, to: str) -> None:
        """Call a collection by another name; refused where there is one of that name already.

        Conversations about it stay so; API keys and settings that name it do not follow.
        """
        ...

    async def rebuild_collection(
        self, name: str, on_progress: OnProgress | None = None
    ) -> IngestReport:
        """Build the index of the settings' encoder anew from the originals.

        It takes the place of the encoder's other indexes, and of the active one where the encoder
        had none; those of other encoders stay.
        """
        ...

    async def repair_collection(
        self, name: str, on_progress: OnProgress | None = None
    ) -> IngestReport:
        """Read all of a collection, and build what is damaged anew from the originals."""
        ...

    def backup(self, collections: Sequence[str] = ()) -> AsyncGenerator[bytes | BackupReport, None]:
        """The bytes of a backup of these collections, or of all; last comes what it holds.

        One of all holds conversations, users and keys, too: see `rag_app.collections.people`.
        See `rag_app.collections.backup`. Whoever searches is not disturbed; whoever wants to
        change a collection waits until that one is written.
        """
        ...

    async def restore(
        self,
        backup: AsyncIterator[bytes],
        collections: Sequence[str] = (),
        replace: bool = False,
    ) -> BackupReport:
        """Make the collections of a backup, or these of them.

        Without names, its people come back, too; those that are there stay as they are.
        With `replace`, they may take the place of those of the same names. Each does so in one
        step, once the whole backup has been found right; whatever fails, all stays as it was.
        """
        ...

    async def indexes(self, collection: str) -> list[IndexInfo]:
        """All indexes of a collection, the one that is searched by default first."""
        ...

    async def build_index(
        self,
        collection: str,
        encoder: EncoderName | None = None,
        on_progress: OnProgress | None = None,
    ) -> IngestReport:
        """Build the index of an encoder from the originals, or bring it up to date.

        It lies beside the collection's other indexes and holds the newest content of every document
        that any of them has. None means the settings' encoder. Interrupted, it goes on from there.
        """
        ...

    async def use_index(self, collection: str, index: str) -> None:
        """Point the collection's name at an index, given by its encoder or its fingerprint.

        Lists show it, and other programs see it, where the settings' encoder has no index.
        """
        ...

    async def drop_index(self, collection: str, index: str) -> None:
        """Delete an index, given by its encoder or its fingerprint; never the active one."""
        ...

    async def documents(self, collection: str) -> list[DocumentInfo]:
        """All documents of a collection that its default index knows, by source."""
        ...

    async def document(
        self, collection: str, source: str, page: Annotated[int | None, Field(ge=1)] = None
    ) -> DocumentContent:
        """A document as it was read, from its original; one page of it where that is given.

        Raises DataError where there is no such document or page, or its original is gone.
        """
        ...

    async def delete_document(self, collection: str, source: str) -> bool:
        """Delete a document from all indexes; False where there is none of that name."""
        ...

    async def ingest(
        self,
        collection: str,
        paths: Sequence[Path],
        on_progress: OnProgress | None = None,
        encoder: EncoderName | None = None,
        sync: bool = False,
    ) -> IngestReport:
        """Ingest files and folders into a collection, which is made if need be.

        With `sync`, documents that came from these folders and whose files are gone are removed.

        They come into the index of the encoder, None being the settings' one; `build_index` brings
        the collection's other indexes up to date.
        """
        ...

    async def add_address(
        self,
        collection: str,
        address: Annotated[str, Field(min_length=1, max_length=2000)],
        on_progress: OnProgress | None = None,
        encoder: EncoderName | None = None,
    ) -> IngestReport:
        """Ingest the document that an address of http or https gives.

        The collection is made if need be. The same address again is the same document. Private
        networks are not asked, but for the hosts that `ingest.hosts` names.
        """
        ...

    async def reingest(
        self,
        collection: str,
        sources: Annotated[Sequence[str], Field(max_length=10_000)] = (),
        on_progress: OnProgress | None = None,
    ) -> IngestReport:
        """Read documents anew from the originals that are kept; none named means all.

        For what another version of the program, or another reader of scans, reads better. A
        document that cannot be read now stays as it is.
        """
        ...

    async def add_document(
        self,
        collection: str,
        name: str,
        content: AsyncIterator[bytes],
        encoder: EncoderName | None = None,
    ) -> IngestReport:
        """Ingest a file that is sent, under a name that tells its format.

        The collection is made if need be. Another one of the same name is a document of its own.
        """
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
        """Answer a question: what was found, thoughts and answer by pieces, then the `Answer`."""
        ...

    def passages(
        self, collection: str, encoder: EncoderName | None = None
    ) -> AsyncGenerator[PassageBatch, None]:
        """Every passage that searches in an encoder's index see, in no particular order.

        None means the settings' encoder.
        """
        ...

    async def context(self, collection: str, passage_id: str) -> PassageContext:
        """A passage with its neighbours on the same page."""
        ...

    async def page_picture(
        self, collection: str, passage_id: str, quotes: Sequence[str] = ()
    ) -> PagePicture:
        """The page of a PDF that a passage stands on, as a picture, with the places of quotes.

        Refused where the format has no pages that can be shown.
        """
        ...

    async def encoders(self) -> list[EncoderInfo]:
        """The encoders in use: the settings' own, and those that whole indexes were built with."""
        ...

    async def embed(
        self, texts: Sequence[str], encoder: EncoderName | None = None, queries: bool = False
    ) -> Embeddings:
        """Vectors of texts, by an encoder in use; None means the settings' own.

        Texts are encoded as passages are, with `queries` as queries are.
        """
        ...

    async def rerank(self, question: str, texts: Sequence[str]) -> list[Relevance]:
        """Texts by their relevance to a question, best first, by the settings' reranker."""
        ...

    async def close(self) -> None:
        """Release what is held."""
        ...
