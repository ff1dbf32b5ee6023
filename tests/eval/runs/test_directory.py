"""A run's folder can be taken up again, from anywhere, and holds no secrets."""

import json

import pytest

from eval.errors import EvalError
from eval.runs.directory import RunDirectory
from rag_app.errors import SettingsError
from rag_app.settings import load_settings

DATASET = {"name": "mmlu", "revision": "1", "private": False}


@pytest.fixture
def settings():
    return load_settings(
        overrides={
            "llm": {"model": "m", "api_key": "sesame", "temperature": 0.5},
            "rerank": {"llm": {"api_key": "sesame 2"}},
            "encoders": {"reasonir-8b": {"backend": "vllm", "api_key": "sesame 3"}},
            "chunking": {"tokens": 99},
        }
    )


def create(folder, settings, **plan):
    return RunDirectory.create(folder, "choice", plan or {"arms": ["rag"]}, DATASET, settings)


def test_what_was_created_can_be_opened(tmp_path, settings):
    create(tmp_path / "a" / "run", settings, limit=3)
    run = RunDirectory.open(tmp_path / "a" / "run")
    assert (run.kind, run.plan, run.dataset) == ("choice", {"limit": 3}, DATASET)
    assert list(run.log.read()) == []


def test_settings_come_back_with_secrets_from_the_present_ones(tmp_path, settings):
    run = create(tmp_path / "run", settings)
    assert run.settings(settings).model_dump() == {
        **settings.model_dump(),
        "storage": {**settings.storage.model_dump(), "path": settings.storage.path.absolute()},
    }


def test_settings_do_not_follow_the_environment_but_for_secrets(tmp_path, settings, monkeypatch):
    run = create(tmp_path / "run", settings)
    monkeypatch.setenv("RAG_APP_LLM__TEMPERATURE", "1.5")
    monkeypatch.setenv("RAG_APP_CHUNKING__TOKENS", "33")
    monkeypatch.setenv("RAG_APP_LLM__API_KEY", "new key")
    found = run.settings()
    assert (found.llm.temperature, found.chunking.tokens) == (0.5, 99)
    assert found.llm.api_key.get_secret_value() == "new key"


def test_no_file_holds_a_secret(tmp_path, settings):
    run = create(tmp_path / "run", settings)
    for file in run.path.iterdir():
        assert "sesame" not in file.read_text("utf-8")


def test_the_settings_file_is_one_that_the_command_line_takes(tmp_path, settings):
    run = create(tmp_path / "run", settings)
    assert load_settings(run.path / "config.toml").chunking.tokens == 99


def test_a_folder_that_holds_a_run_is_refused_and_left_as_it_is(tmp_path, settings):
    create(tmp_path / "run", settings, limit=1)
    with pytest.raises(EvalError, match=r"holds a run already.*eval resume"):
        create(tmp_path / "run", settings, limit=2)
    assert RunDirectory.open(tmp_path / "run").plan == {"limit": 1}


def test_a_folder_whose_run_was_never_begun_is_taken(tmp_path, settings):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text("torn")
    assert create(tmp_path / "run", settings).settings().chunking.tokens == 99


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_folder_without_a_run_is_no_run(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(EvalError, match="holds no run"):
        RunDirectory.open(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path, settings):
    (tmp_path / "file").write_text("")
    with pytest.raises(EvalError, match=r"file/run cannot be written"):
        create(tmp_path / "file" / "run", settings)


def test_damaged_settings_are_named(tmp_path, settings):
    run = create(tmp_path / "run", settings)
    config = run.path / "config.toml"
    config.write_text("[chunking]\ntokens = 1\n")
    with pytest.raises(SettingsError, match=r"chunking\.tokens"):
        run.settings()
    config.write_text("[")
    with pytest.raises(EvalError, match="could not be read"):
        run.settings()


def test_json_files_are_written_whole_and_alike(tmp_path, settings):
    run = create(tmp_path / "run", settings)
    run.write_json("metrics.json", {"b": 1.5, "a": "é \ud800"})
    run.write_json("metrics.json", {"b": 1.5, "a": "é"})
    assert (run.path / "metrics.json").read_bytes() == '{\n  "a": "é",\n  "b": 1.5\n}\n'.encode()
    assert run.read_json("metrics.json") == {"a": "é", "b": 1.5}
    assert sorted(p.name for p in run.path.iterdir()) == ["config.toml", "metrics.json", "run.json"]


def test_a_file_that_is_not_there_names_the_way_to_it(tmp_path, settings):
    with pytest.raises(EvalError, match="eval resume"):
        create(tmp_path / "run", settings).read_json("metrics.json")


def test_what_cannot_be_written_leaves_the_old_file(tmp_path, settings):
    run = create(tmp_path / "run", settings)
    run.write_json("metrics.json", [1])
    with pytest.raises(TypeError):
        run.write_json("metrics.json", [object()])
    assert json.loads((run.path / "metrics.json").read_text()) == [1]


def test_one_process_at_a_time_works_on_a_run(tmp_path, settings):
    run = create(tmp_path / "run", settings)
    with run.held():
        with pytest.raises(EvalError, match="under way in another process"):
            with RunDirectory.open(run.path).held():
                pass
    with run.held():
        pass
