"""ReasonIR-8B as a LlamaIndex embedding (Shao et al. 2025, https://arxiv.org/abs/2504.20595)."""

from pathlib import Path

from retrieval.encoders.local.checkpoint import Dtype
from retrieval.encoders.local.transformer import TransformersEncoder
from retrieval.encoders.registry import built_in


class ReasonIREmbedding(TransformersEncoder):
    """ReasonIR-8B, with the vectors of its authors' `encode` and without their code.

    A query stands in the template with the instruction, a passage behind ``<|embed|>``; the start
    token and all before the text are attended to and not pooled. With ``instruction=""`` both stand
    bare and the start token is pooled, as in the authors' RAG evaluation. The weights' licence is
    CC-BY-NC-4.0.

    Args:
        model: hub id, or a folder of the files.
        revision: of a hub id; the pinned one if left out.
        device: see `TransformersEncoder`, as the others.
        dtype: the authors use bfloat16 on a GPU, which "auto" takes there.
        batch_tokens: most tokens that go through the model at once.
        instruction: None takes the general one; `built_in()["reasonir-8b"].instructions` has
            BRIGHT's by task.
        passage_length: tokens kept of a passage, all included; 2048 as trained.
        query_length: the same of a query.
    """

    def __init__(
        self,
        model: str | Path = "reasonir/ReasonIR-8B",
        *,
        revision: str = "",
        device: str = "auto",
        dtype: Dtype = "auto",
        batch_tokens: int = 16_384,
        instruction: str | None = None,
        passage_length: int | None = None,
        query_length: int | None = None,
    ) -> None:
        super().__init__(
            built_in()["reasonir-8b"],
            model,
            revision=revision,
            device=device,
            dtype=dtype,
            batch_tokens=batch_tokens,
            instruction=instruction,
            passage_length=passage_length,
            query_length=query_length,
        )
        del self._arguments["row"]
