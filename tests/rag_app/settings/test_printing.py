import json
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from rag_app.settings import Settings, describe, load_settings, override, profiles

SECRET = "sk-do-not-show-me"

NAMED = """
[encoders.reasonir-8b]
backend = "vllm"
url = "http://gpu:8001/v1"

[encoders."own.model"]
api_key = "sk-do-not-show-me"
[encoders."own.model".row]
model_id = "me/mine"
dimension = 4
causal = false
instructions = {"a b" = "Find it"}
backends = ["transformers"]
"""


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    return path


def show(settings: Settings) -> str:
    return describe(Settings, settings.model_dump(mode="json"))


def test_shown_settings_hide_secrets_and_say_that_they_are_set():
    secret = {
        "llm": {"api_key": SECRET},
        "server": {"password": SECRET},
        "storage": {"api_key": SECRET},
    }
    settings = load_settings(overrides=secret)
    shown = show(settings)
    assert SECRET not in shown
    assert SECRET not in json.dumps(settings.model_dump(mode="json"))
    assert SECRET not in repr(settings)
    assert "# password is set, and not shown" in shown
    assert "password" not in tomllib.loads(shown)["server"], "a mask would become the password"


@pytest.mark.parametrize("profile", profiles())
def test_shown_settings_are_toml_that_gives_the_same_settings(profile, tmp_path):
    odd = {
        "storage": {"path": 'with "quotes" \\ and\nlines\x7f'},
        "llm": {"model": "modèle 🏝", "temperature": 1e-7, "timeout": 3.5},
        "collection": "",
    }
    settings = load_settings(profile=profile, overrides=odd)
    assert load_settings(config(tmp_path, show(settings))) == settings


def test_every_setting_is_described_and_every_description_shown():
    shown = show(load_settings())
    todo: list[type[BaseModel]] = [Settings]
    seen = 0
    while todo:
        for name, field in todo.pop().model_fields.items():
            assert field.description, name
            assert f"# {field.description}" in shown
            seen += 1
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                todo.append(field.annotation)
    assert seen > 40


def test_encoders_have_tables_of_their_own_that_can_be_shown_and_read_again(tmp_path):
    settings = load_settings(config(tmp_path, NAMED))
    assert settings.encoders["reasonir-8b"].url == "http://gpu:8001/v1"
    assert override(settings, {"collection": "c"}).encoders == settings.encoders
    shown = show(settings)
    assert SECRET not in shown
    again = load_settings(config(tmp_path, shown))
    assert again.encoders["own.model"].row == settings.encoders["own.model"].row
    assert again.encoders["reasonir-8b"].model_fields_set == {"backend", "url"}
