"""How a question is searched for and answered, as far as a person may choose it in the page."""

from typing import Any, get_args

import gradio as gr

from rag_app.service import QueryOptions
from rag_app.settings import (
    FusionName,
    ReaderName,
    RerankerName,
    RetrieverName,
    RewriterName,
    Settings,
)


class Choices:
    """The components; made inside the page's `gr.Blocks`, and beginning with the settings."""

    def __init__(self, settings: Settings) -> None:
        llm, chosen = bool(settings.llm.model), settings.retrieval
        self.retriever = _dropdown(
            RetrieverName, chosen.retriever, "Retriever",
            info="none answers from the model alone", elem_id="retriever",
        )  # fmt: skip
        self.has_model = gr.Checkbox(llm, visible=False)
        self.top_k = gr.Slider(1, 50, min(chosen.top_k, 50), step=1, label="Passages to find")
        self.fusion = _dropdown(FusionName, chosen.fusion, "Fusion")
        self.weight = gr.Slider(
            0, 1, chosen.weight, step=0.05, label="Dense share", info="of minmax fusion"
        )
        self.reader = _dropdown(ReaderName, settings.reader.kind, "Reader", visible=llm)
        self.rewrite = _dropdown(
            RewriterName, settings.rewrite.kind, "Rewriting",
            info="llm searches with longer queries, too", visible=llm,
        )  # fmt: skip
        self.rerank = _dropdown(
            RerankerName, settings.rerank.kind, "Reranking",
            info="grades the passages found", visible=llm,
        )  # fmt: skip

    @property
    def inputs(self) -> list[Any]:
        """The components whose values `query_options` takes, in its order."""
        return [
            self.retriever, self.top_k, self.fusion, self.weight, self.reader, self.rewrite,
            self.rerank,
        ]  # fmt: skip


def query_options(
    retriever: str, top_k: Any, fusion: str, weight: Any, reader: str, rewrite: str, rerank: str,
) -> QueryOptions:  # fmt: skip
    """What was chosen, as a question takes it. Raises ValidationError for what was not offered."""
    chosen = {
        "retriever": retriever, "fusion": fusion, "reader": reader, "rewrite": rewrite,
        "rerank": rerank,
    }  # fmt: skip
    # no request names a class: where the settings do, leaving the choice open chooses it
    rows = {stage: name for stage, name in chosen.items() if ":" not in name}
    return QueryOptions.model_validate({**rows, "top_k": int(top_k), "weight": float(weight)})


def _dropdown(names: Any, chosen: str, label: str, **more: Any) -> gr.Dropdown:
    """A choice of components; a class that the settings name by its path is one of them."""
    choices = dict.fromkeys([*get_args(names), chosen])
    return gr.Dropdown([*choices], value=chosen, label=label, filterable=False, **more)
