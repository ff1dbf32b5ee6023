"""Answering from passages: readers, prompts, citations."""

from typing import TYPE_CHECKING

try:
    from data.exports import lazy
except ImportError as error:
    import data

    raise ImportError(
        f"the package `data` of rag-app is hidden by {data!r}; docs/llamaindex.md tells what to do"
    ) from error

if TYPE_CHECKING:
    from generation.budget import TokenBudget
    from generation.choosing import Chooser, LLMChooser
    from generation.citations import Citation, Quote
    from generation.condensing import LLMCondenser
    from generation.errors import GenerationError
    from generation.llm_reader import LLMReader
    from generation.quoting import QuotingReader
    from generation.reading import Reader, Reading, TextDelta, ThinkingDelta
    from generation.synthesizer import ReaderSynthesizer

__all__ = [
    "Chooser",
    "Citation",
    "GenerationError",
    "LLMChooser",
    "LLMCondenser",
    "LLMReader",
    "Quote",
    "QuotingReader",
    "Reader",
    "ReaderSynthesizer",
    "Reading",
    "TextDelta",
    "ThinkingDelta",
    "TokenBudget",
]

__getattr__ = lazy(
    "generation",
    {
        "budget": ("TokenBudget",),
        "choosing": ("Chooser", "LLMChooser"),
        "citations": ("Citation", "Quote"),
        "condensing": ("LLMCondenser",),
        "errors": ("GenerationError",),
        "llm_reader": ("LLMReader",),
        "quoting": ("QuotingReader",),
        "reading": ("Reader", "Reading", "TextDelta", "ThinkingDelta"),
        "synthesizer": ("ReaderSynthesizer",),
    },
)
