"""A Llama or Mistral that embeds: both directions of attention, the mean of the text alone."""

from itertools import pairwise
from typing import Any

import torch
from vllm.model_executor.layers.pooler import PoolingParamsUpdate
from vllm.model_executor.layers.pooler.seqwise import SequencePoolingMethod
from vllm.model_executor.models.llama import LlamaBidirectionalModel
from vllm.tokenizers import cached_tokenizer_from_config

from rag_app_vllm.prefix import PrefixCounter


class TextMean(SequencePoolingMethod):
    """The mean over the tokens of the text, without the start token and instruction, in float32."""

    def __init__(self, count_prefix: PrefixCounter) -> None:
        super().__init__()
        self._count_prefix = count_prefix

    def get_supported_tasks(self) -> set[str]:
        """Only embeddings of whole prompts."""
        return {"embed"}

    def get_pooling_updates(self, task: str) -> PoolingParamsUpdate:
        """Asks vLLM for the ids of prompts."""
        wanted = PoolingParamsUpdate(requires_token_ids=True)
        return super().get_pooling_updates(task) | wanted

    def forward(self, hidden_states: torch.Tensor, pooling_metadata: Any) -> torch.Tensor:
        """Pool a batch.

        Args:
            hidden_states: [tokens of all prompts, hidden], one prompt after the other.
            pooling_metadata: vLLM's `PoolingMetadata` of the batch.

        Returns:
            float32 [prompts, hidden], not yet of unit length. NaN for a prompt that has nothing
            but its prefix, as in the authors' code: the server then answers with an error.
        """
        if pooling_metadata.get_pooling_cursor().is_partial_prefill():
            raise RuntimeError("a mean needs whole prompts: switch chunked prefill off")
        prompts = [ids.tolist() for ids in pooling_metadata.get_prompt_token_ids_cpu()]
        ends = torch.tensor([0, *map(len, prompts)]).cumsum(0).tolist()
        means = [
            hidden_states[start + self._count_prefix(ids) : end].mean(0, dtype=torch.float32)
            for ids, (start, end) in zip(prompts, pairwise(ends), strict=True)
        ]
        return torch.stack(means)


class TextMeanModel(LlamaBidirectionalModel):
    """vLLM's own bidirectional Llama (its Mistral is the same) with `TextMean` for a pooler."""

    def _init_pooler(self, vllm_config: Any, prefix: str = "") -> Any:
        tokenizer = cached_tokenizer_from_config(vllm_config.model_config)
        if tokenizer is None:
            raise ValueError(
                "the plugin finds instructions by the tokenizer: no --skip-tokenizer-init"
            )
        pooler = super()._init_pooler(vllm_config, prefix=prefix)
        pooler.poolers_by_task["embed"].pooling = TextMean(PrefixCounter(tokenizer))
        return pooler
