"""The registry of encoders."""

import pytest
from pydantic import ValidationError

from retrieval.encoders.errors import UnknownEncoderError
from retrieval.encoders.registry import built_in, row


def test_a_built_in_row_is_found_by_name() -> None:
    found = row("minilm")
    assert (found.dimension, found.passage_length, found.pooling) == (384, 256, "mean")


def test_an_unknown_name_lists_the_known_ones() -> None:
    own = row("minilm").model_copy(update={"name": "ours"})
    with pytest.raises(UnknownEncoderError, match=r"'bert'.*minilm, ours"):
        row("bert", [own])


def test_a_row_of_the_user_wins_over_one_that_ships() -> None:
    own = row("minilm").model_copy(update={"passage_length": 128})
    assert row("minilm", [own]).passage_length == 128
    assert built_in()["minilm"].passage_length == 256


def test_rows_and_the_registry_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        built_in()["minilm"].dimension = 3
    with pytest.raises(TypeError):
        built_in()["other"] = built_in()["minilm"]  # type: ignore[index]


def test_every_row_is_filed_under_its_own_name() -> None:
    assert all(name == one.name for name, one in built_in().items())


def test_the_minilm_row_counts_the_weights_of_the_model() -> None:
    from safetensors import safe_open

    from retrieval.encoders.minilm_graph import model_folder

    with safe_open(model_folder() / "model.safetensors", "numpy") as file:
        layers = [name for name in file.keys() if name.startswith("encoder.")]  # noqa: SIM118
        total = sum(int(file.get_tensor(name).size) for name in layers)
    assert built_in()["minilm"].parameters == total
