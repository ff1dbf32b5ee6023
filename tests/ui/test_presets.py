"""What the presets set, and when they may be chosen."""

import re

import pytest

from rag_app.settings import load_settings
from ui.presets import PRESETS, chosen, render, values


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_preset_sets_is_known_as_that_preset(name: str) -> None:
    settings = load_settings()
    assert chosen(values(PRESETS[name], settings), settings) == name


def test_the_usual_choices_are_the_settings() -> None:
    settings = load_settings(overrides={"retrieval": {"top_k": 5}, "rerank": {"kind": "qwen"}})
    usual = {"top_k": 5, "rewrite": "none", "rerank": "qwen"}
    assert values(PRESETS["balanced"], settings) == usual
    assert chosen(usual, settings) == "balanced"
    assert chosen({**usual, "top_k": 7}, settings) == ""


def test_a_preset_that_needs_a_model_is_disabled_without_and_says_why() -> None:
    without, with_one = render("fast", has_model=False), render("fast", has_model=True)
    [off] = re.findall(r"<button[^>]* disabled>[^<]*", without)
    assert "Thorough" in off
    assert "Connect a model first." in off
    assert "disabled" not in with_one
    assert with_one.count('aria-pressed="true"') == 1
