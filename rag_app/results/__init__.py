"""What the application gives back: of questions, of what is kept, of ingestions."""

from rag_app.results.answers import (
    CANDIDATES_TRACED,
    Answer,
    AskEvent,
    Embeddings,
    EncoderInfo,
    Hit,
    PassageBatch,
    PassageContext,
    PassagePlace,
    Relevance,
    SearchResult,
    Trace,
    notes,
)
from rag_app.results.collections import (
    BackupReport,
    CollectionInfo,
    CopiedCollection,
    DocumentContent,
    DocumentInfo,
    IndexInfo,
)
from rag_app.results.ingestion import (
    DocumentWarning,
    Failure,
    IngestReport,
    OnProgress,
    Progress,
)

__all__ = [
    "CANDIDATES_TRACED",
    "Answer",
    "AskEvent",
    "BackupReport",
    "CollectionInfo",
    "CopiedCollection",
    "DocumentContent",
    "DocumentInfo",
    "DocumentWarning",
    "Embeddings",
    "EncoderInfo",
    "Failure",
    "Hit",
    "IndexInfo",
    "IngestReport",
    "OnProgress",
    "PassageBatch",
    "PassageContext",
    "PassagePlace",
    "Progress",
    "Relevance",
    "SearchResult",
    "Trace",
    "notes",
]
