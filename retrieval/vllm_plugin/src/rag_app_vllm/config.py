"""What a server must be set to, whatever its command line says."""

from typing import Any

from vllm.model_executor.models.config import VerifyAndUpdateConfig


class TextMeanConfig(VerifyAndUpdateConfig):
    """Attention in both directions over whole prompts, and the mean.

    The published configs do not say that attention is bidirectional (ReasonIR's has no
    `is_causal`; its remote code passes it to `forward`), and a causal server gives vectors of the
    right shape and no use.
    """

    @staticmethod
    def verify_and_update_model_config(model_config: Any) -> None:
        """Called before the layers are made, which read `is_causal`.

        GritLM's config has a sliding window, Mistral's, which its own code has for causal
        attention alone.
        """
        model_config.hf_config.is_causal = False
        model_config.hf_config.sliding_window = None
        if model_config.pooler_config is not None:
            model_config.pooler_config.seq_pooling_type = "MEAN"

    @staticmethod
    def verify_and_update_config(vllm_config: Any) -> None:
        """Refuse prompts in pieces: a token must see all others, and the mean needs them all.

        Raises:
            ValueError: chunked prefill or prefix caching was switched on by hand.
        """
        if vllm_config.scheduler_config.enable_chunked_prefill:
            raise ValueError("this model attends in both directions: no --enable-chunked-prefill")
        if vllm_config.cache_config.enable_prefix_caching:
            raise ValueError("this model attends in both directions: no --enable-prefix-caching")
