"""What the page offers to choose from."""

from contextlib import ExitStack

import httpx

from rag_app.service import QueryOptions
from tests.adversity.pages import config
from tests.ui.running import RunningApp
from ui.choices import query_options

SETTINGS = """
[retrieval]
retriever = "llama_index.core.retrievers:BaseRetriever"
[rerank]
kind = "llama_index.core.postprocessor:SimilarityPostprocessor"
[reader]
kind = "llama_index.core.llms:MockLLM"
"""


def test_a_class_named_by_the_settings_is_among_the_choices(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    arguments = ["--config", str(file), "serve", "--port", "0"]
    app = RunningApp(tmp_path / "storage", arguments)
    with ExitStack() as stack:
        stack.callback(app.stop)
        one = stack.enter_context(httpx.Client(base_url=app.address, trust_env=False, timeout=60))
        one.get(app.page)
        found = {
            each["props"].get("label"): each["props"]
            for each in config(one)["components"]
            if each["type"] == "dropdown"
        }
    for label in ("Retriever", "Reranking", "Reader", "Fusion", "Rewriting"):
        chosen = found[label]["value"]
        assert [chosen, chosen] in [[*each] for each in found[label]["choices"]], label
    assert found["Reader"]["value"] == "llama_index.core.llms:MockLLM"


def test_a_class_is_chosen_by_leaving_the_settings_as_they_are():
    options = query_options("my.package:Retriever", 5, "rrf", 0.5, "a:B", "none", "qwen")
    assert options == QueryOptions(top_k=5, fusion="rrf", weight=0.5, rewrite="none", rerank="qwen")
