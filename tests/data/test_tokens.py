from pathlib import Path

import pytest
from llama_index.core.utils import get_tokenizer

from data.tokens import estimate_tokens
from eval.datasets.corpus import passages
from retrieval.encoders.minilm import MiniLMEmbedding

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    "path", ["generation/budget.py", "generation/prompts.py", "pyproject.toml"]
)
def test_the_estimate_is_somewhat_above_a_real_tokenisers_count(path):
    # the encoding cl100k comes with llama-index-core; nothing is downloaded
    tokens = len(get_tokenizer()((REPOSITORY / path).read_text(encoding="utf-8")))
    estimate = estimate_tokens((REPOSITORY / path).read_text(encoding="utf-8"))
    assert tokens <= estimate <= 2 * tokens


def test_the_estimate_takes_any_text():
    assert estimate_tokens("") == 0
    assert estimate_tokens("\ud800 你好") > 0


def test_the_estimate_is_on_the_safe_side_of_a_real_tokenizer(shared_data, tmp_path):
    texts = [text for _, _, text in passages(shared_data / "beir/scifact/corpus.jsonl")][:300]
    real = MiniLMEmbedding(tmp_path).count_tokens
    assert all(real(text) <= estimate_tokens(text) <= 2 * real(text) for text in texts)
