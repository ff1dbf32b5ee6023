"""The rows of generation's stages: what stands behind each name of settings and requests."""

from data.registry import Row, registry

_LLM = "a language model"

CONDENSERS = registry(
    Row("none", "generation.condensing:NoCondenser", "takes every question as it is"),
    Row("llm", "generation.condensing:LLMCondenser", "rewrites follow-up questions", _LLM),
    Row("carry-over", "generation.condensing:CarryOverCondenser", "adds the last question's words"),
)

READERS = registry(
    Row("quote", "generation.quoting:QuotingReader", "quotes the best sentences"),
    Row("llm", "generation.llm_reader:LLMReader", "writes an answer with citations", _LLM),
)
