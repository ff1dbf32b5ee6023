"""Tiny checkpoints, made once a session."""

from pathlib import Path

import pytest

from tests.tiny_models import tiny_bert, tiny_qwen


@pytest.fixture(scope="session")
def tiny_causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal decoder for last-token pooling, of 64 dimensions."""
    return tiny_qwen(tmp_path_factory.mktemp("tiny") / "qwen")


@pytest.fixture(scope="session")
def tiny_two_way(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 64 dimensions."""
    return tiny_bert(tmp_path_factory.mktemp("tiny") / "bert")
