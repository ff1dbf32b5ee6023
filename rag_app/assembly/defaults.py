"""The defaults that depend on which component a setting names."""

from dataclasses import asdict
from typing import Any

from rag_app.assembly.encoders import choose
from rag_app.errors import SettingsError
from rag_app.settings import Rerank, Settings


def in_force(settings: Settings) -> dict[str, Any]:
    """The settings as JSON, with what holds where one is unset; secrets are masked."""
    tree = settings.model_dump(mode="json")
    try:
        choice = choose(settings)
        lengths = {"passage_length": choice.passage_length, "query_length": choice.query_length}
        grading = _grading(settings.rerank)
    except SettingsError:  # whoever uses that component is told why it cannot be used
        return tree
    if choice.backend != "class":
        tree["encoder"] = _filled(tree["encoder"], lengths)
    if grading is not None:
        tree["rerank"] = _filled(tree["rerank"], asdict(grading))
    return tree


def _grading(chosen: Rerank) -> Any:
    """How the reranker grades; None for one that does not."""
    if chosen.kind == "none":
        return None
    from rag_app.assembly.components import reranker_class, usual_grading  # LlamaIndex is slow

    return usual_grading(reranker_class(chosen))


def _filled(section: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {name: defaults.get(name) if value is None else value for name, value in section.items()}
