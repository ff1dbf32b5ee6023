"""A vLLM plugin: embeddings whose mean leaves the instruction out, as ReasonIR and GritLM want."""

import logging

ARCHITECTURES = ("ReasonIRModel", "TextMeanModel")
"""What ReasonIR's `config.json` names, and what ``--hf-overrides`` may name for its like."""

TESTED = (0, 32)
"""The vLLM release that the tests run; the plugin uses interfaces that vLLM may change."""

_log = logging.getLogger("vllm.rag_app_vllm")  # below vLLM's own, so that its log shows it


def register() -> None:
    """Add the architectures to vLLM's registry; vLLM calls this in each of its processes.

    Other releases were not tried. Nothing is registered on earlier ones, so that a server of these
    models does not start; later ones get a warning.
    """
    from vllm import ModelRegistry
    from vllm.model_executor.models.config import MODELS_CONFIG_MAP
    from vllm.version import __version__, __version_tuple__

    from rag_app_vllm.config import TextMeanConfig

    release = __version_tuple__[:2]
    if release < TESTED:
        _log.error("rag-app-vllm needs vLLM 0.32, not %s: nothing is registered", __version__)
        return
    if release > TESTED:
        _log.warning(
            "rag-app-vllm was tested with vLLM 0.32, not %s: compare some vectors first "
            "(`rag-app doctor` does)", __version__,
        )  # fmt: skip
    for architecture in ARCHITECTURES:
        ModelRegistry.register_model(architecture, "rag_app_vllm.model:TextMeanModel")
        MODELS_CONFIG_MAP[architecture] = TextMeanConfig
