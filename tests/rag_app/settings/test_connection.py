import os

import pytest

from rag_app.errors import SettingsError
from rag_app.settings import load_settings
from rag_app.settings.connection import CONNECTION, KEY, read_connection, write_connection

CHOICE = {"api_base": "http://127.0.0.1:1/v1", "model": 'a "b" \\ ü', "context_window": 4096}


def test_a_choice_is_kept_and_only_its_owner_reads_it(tmp_path):
    assert read_connection(tmp_path) == {}
    write_connection(tmp_path, key="sk-1", **CHOICE)
    assert read_connection(tmp_path) == {
        "llm": {**CHOICE, "api_key": "sk-1"}, "reader": {"kind": "llm"},
    }  # fmt: skip
    assert "sk-1" not in (tmp_path / CONNECTION).read_text("utf-8")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in (CONNECTION, KEY)} == {0o600}
    write_connection(tmp_path, key="", **CHOICE)
    assert "api_key" not in read_connection(tmp_path)["llm"]


def test_it_holds_below_what_is_set_elsewhere(tmp_path, monkeypatch):
    write_connection(tmp_path, key="sk-1", **CHOICE)
    monkeypatch.setenv("RAG_APP_STORAGE__PATH", str(tmp_path))
    settings = load_settings()
    assert settings.llm.model == CHOICE["model"]
    assert settings.llm.api_key.get_secret_value() == "sk-1"
    assert settings.reader.kind == "llm"
    monkeypatch.setenv("RAG_APP_LLM__MODEL", "another")
    assert load_settings(overrides={"reader": {"kind": "quote"}}).reader.kind == "quote"
    assert load_settings().llm.model == "another"


def test_model_and_key_are_for_no_other_server(tmp_path, monkeypatch):
    write_connection(tmp_path, key="sk-1", **CHOICE)
    monkeypatch.setenv("RAG_APP_STORAGE__PATH", str(tmp_path))
    monkeypatch.setenv("RAG_APP_LLM__API_BASE", f"{CHOICE['api_base']}/")
    assert load_settings().llm.api_key.get_secret_value() == "sk-1"
    monkeypatch.setenv("RAG_APP_LLM__API_BASE", "http://127.0.0.1:2/v1")
    settings = load_settings()
    assert (settings.llm.model, settings.llm.api_key.get_secret_value()) == ("", "none")


def test_a_choice_that_cannot_be_kept_leaves_no_key_for_the_one_before(tmp_path):
    write_connection(tmp_path, key="sk-1", **CHOICE)
    (tmp_path / CONNECTION).unlink()
    (tmp_path / CONNECTION / "in the way").mkdir(parents=True)
    with pytest.raises(SettingsError, match="cannot be kept"):
        write_connection(tmp_path, key="sk-2", **CHOICE)
    assert not (tmp_path / KEY).exists()


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / CONNECTION).write_text("[llm")
    with pytest.raises(SettingsError, match=r"connection\.toml"):
        read_connection(tmp_path)


@pytest.mark.parametrize("name", [CONNECTION, KEY])
def test_a_pipe_in_its_place_is_refused_and_not_waited_for(name, tmp_path):
    write_connection(tmp_path, key="sk-1", **CHOICE)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(SettingsError, match="not a regular file"):
        read_connection(tmp_path)
