"""What hinders a part of the pipeline from working here, before it is tried; nothing is loaded."""

from importlib.util import find_spec
from typing import Final

from data.errors import RagAppError
from rag_app.assembly.clients import llm_of
from rag_app.assembly.encoders import EncoderChoice, choose
from rag_app.settings import Rerank, Settings

NOT_DOWNLOADED: Final = "is not downloaded"
"""The obstacle that a download removes."""
_NO_MODEL: Final = "needs a language model"


def encoder_obstacle(settings: Settings, name: str) -> str:
    """Why the encoder of that name cannot be used; empty where nothing is known to hinder it.

    Servers are not asked. Weights that would have to be downloaded first are an obstacle.
    """
    try:
        choice = choose(settings, name)
    except RagAppError as error:
        return error.message
    if choice.row.restricted and not choice.run.accept_license:
        return f"its licence, {choice.row.licence}, has to be accepted first"
    if choice.served:
        configured = name == settings.encoder.name or bool(choice.run.url)
        return "" if configured else f"needs a server: set encoders.{name}.url"
    return _weights_obstacle(choice) if choice.backend == "transformers" else ""


def _weights_obstacle(choice: EncoderChoice) -> str:
    from retrieval.encoders.local.checkpoint import is_cached, local_folder

    if not (find_spec("torch") and find_spec("transformers")):
        return "needs rag-app[reasonir]"
    model = choice.run.model or choice.row.model_id
    try:
        cached = local_folder(model) or is_cached(model, choice.run.revision or choice.row.revision)
    except RagAppError as error:
        return error.message
    return "" if cached else NOT_DOWNLOADED


def rewriter_obstacle(settings: Settings, name: str) -> str:
    """Why a rewriter cannot work; empty where it can."""
    model = llm_of(settings, settings.rewrite.llm).model
    return "" if name == "none" or model else _NO_MODEL


def reranker_obstacle(settings: Settings, name: str) -> str:
    """Why a reranker cannot work; empty where nothing is known to hinder it."""
    chosen = settings.rerank
    if name == "cross-encoder":
        usual = Rerank()
        if not chosen.model and (chosen.kind, chosen.url) == (usual.kind, usual.url):
            return "needs rerank.model or rerank.url"
        torch = chosen.model and chosen.backend == "transformers"
        return "needs rag-app[rerank]" if torch and not find_spec("sentence_transformers") else ""
    model = llm_of(settings, chosen.llm).model
    return "" if name == "none" or model else _NO_MODEL
