import os
from pathlib import Path

import pytest

from rag_app.errors import SettingsError
from rag_app.settings import Settings, load_settings, override, profiles

SECRET = "sk-do-not-show-me"


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    return path


def test_each_source_wins_over_the_one_before(tmp_path, monkeypatch):
    assert load_settings().encoder.precision == "int8"
    assert load_settings(profile="gpu").encoder.precision == "fp32"
    path = config(tmp_path, '[encoder]\nprecision = "int8"\nworkers = 1\n')
    assert load_settings(path, "gpu").encoder.precision == "int8"
    monkeypatch.setenv("RAG_APP_ENCODER__WORKERS", "2")
    assert load_settings(path, "gpu").encoder.workers == 2
    flags = {"encoder": {"workers": 3}}
    assert load_settings(path, "gpu", flags).encoder.workers == 3


def test_a_source_changes_only_what_it_names(tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_APP_LLM__MODEL", "a-model")
    settings = load_settings(config(tmp_path, "[llm]\nmax_tokens = 5\n"), "gpu")
    assert (settings.llm.model, settings.llm.max_tokens) == ("a-model", 5)
    assert settings.llm.context_window == 32768


def test_flags_that_were_not_given_change_nothing():
    settings = load_settings()
    assert override(settings, {"encoder": {"name": None}, "collection": None}) == settings


def test_profile_and_file_can_be_named_by_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_APP_PROFILE", "cluster")
    monkeypatch.setenv("RAG_APP_CONFIG", str(config(tmp_path, 'collection = "papers"\n')))
    settings = load_settings()
    assert (settings.server.host, settings.collection) == ("0.0.0.0", "papers")


def test_a_whole_section_can_come_from_one_variable(monkeypatch):
    monkeypatch.setenv("RAG_APP_BM25", '{"k1": 2.0}')
    assert load_settings().bm25.k1 == 2.0


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("RAG_APP_STORAGE__PATH", "")
    monkeypatch.setenv("RAG_APP_SERVER__PORT", "")
    assert load_settings() == Settings()


def test_secrets_can_lie_in_files_as_containers_get_them(tmp_path, monkeypatch):
    held = tmp_path / "secret"
    held.write_text("of the file\n")
    monkeypatch.setenv("RAG_APP_SERVER__PASSWORD", "of the variable")
    monkeypatch.setenv("RAG_APP_SERVER__PASSWORD_FILE", str(held))
    monkeypatch.setenv("RAG_APP_RERANK__LLM__API_KEY_FILE", str(held))
    settings = load_settings()
    assert settings.server.password.get_secret_value() == "of the file"
    assert settings.rerank.llm.api_key.get_secret_value() == "of the file"
    held.write_text("\n")
    assert load_settings().server.password.get_secret_value() == "of the variable"


@pytest.mark.parametrize(
    ("variable", "told"),
    [("SERVER__PASSWORD_FILE", "secret file .*nowhere"), ("SERVER__USER_FILE", "user_file")],
)
def test_a_file_that_holds_no_secret_is_named(variable, told, monkeypatch):
    monkeypatch.setenv(f"RAG_APP_{variable}", "/nowhere")
    with pytest.raises(SettingsError, match=told):
        load_settings()


def test_variables_that_name_no_setting_on_purpose_are_let_pass(monkeypatch):
    monkeypatch.setenv("RAG_APP_SHARED_DATA", "/somewhere")
    monkeypatch.setenv("RAG_APP_ARTIFACTS", "/elsewhere")
    assert load_settings() == Settings()


@pytest.mark.parametrize("profile", profiles())
def test_profiles_that_ship_are_valid(profile):
    assert isinstance(load_settings(profile=profile), Settings)


def refusal(*arguments, **named) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(*arguments, **named)
    return str(caught.value)


def test_unknown_profile_is_named_with_those_there_are():
    message = refusal(profile="desktop")
    assert "'desktop'" in message
    assert all(profile in message for profile in profiles())


def test_unknown_key_is_named_with_those_beside_it(tmp_path):
    message = refusal(config(tmp_path, "[retrieval]\ntopk = 3\n"))
    assert "retrieval.topk" in message
    assert "top_k" in message
    assert "context_window" not in message


def test_unknown_section_is_named_with_those_there_are(tmp_path):
    message = refusal(config(tmp_path, "[retreival]\ntop_k = 3\n"))
    assert "retreival" in message
    assert "retrieval" in message


@pytest.mark.parametrize("name", ["RAG_APP_RETRIEVAL_TOP_K", "RAG_APP_NONSENSE__KEY"])
def test_variable_that_names_no_setting_is_named(name, monkeypatch):
    monkeypatch.setenv(name, "3")
    message = refusal()
    assert name in message
    assert "retrieval" in message


def test_unknown_key_in_a_variable_is_named(monkeypatch):
    monkeypatch.setenv("RAG_APP_RETRIEVAL__TOPK", "3")
    assert "retrieval.topk" in refusal()


def test_bad_choice_is_named_with_key_value_and_choices(tmp_path):
    message = refusal(config(tmp_path, '[retrieval]\nretriever = "magic"\n'))
    assert "retrieval.retriever" in message
    assert "'magic'" in message
    assert all(name in message for name in ("dense", "bm25", "hybrid", "rank_bm25", "none"))


def test_number_out_of_range_is_named_with_its_bound(monkeypatch):
    monkeypatch.setenv("RAG_APP_RETRIEVAL__WEIGHT", "1.5")
    message = refusal()
    assert "retrieval.weight" in message
    assert "1.5" in message
    assert "less than or equal to 1" in message


def test_every_problem_is_named_at_once(tmp_path):
    message = refusal(config(tmp_path, '[server]\nport = "x"\nhots = "y"\n'))
    assert "server.port" in message
    assert "server.hots" in message


@pytest.mark.parametrize(
    ("text", "part"),
    [("collection = ", "config.toml"), ("\x00", "config.toml"), ('a = "\udcff"', "utf-8")],
)
def test_file_that_is_no_toml_is_named(tmp_path, text, part):
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert part in refusal(path)


def test_missing_file_is_named_with_the_hint(tmp_path):
    message = refusal(tmp_path / "absent.toml")
    assert "absent.toml" in message
    assert "config show" in message


def test_section_variable_that_is_no_json_is_explained(monkeypatch):
    monkeypatch.setenv("RAG_APP_RETRIEVAL", "hybrid")
    message = refusal()
    assert "retrieval" in message
    assert "SECTION__KEY" in message


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f'llm = ["{SECRET}"]', "llm"),
        (f'[llm]\napi_key = ["{SECRET}"]', "llm.api_key"),
        (f'[server.password]\na = "{SECRET}"', "server.password"),
        (f'[llm]\napi_key = "{SECRET}"\napi_kye = "{SECRET}"', "llm.api_kye"),
        (f'[llm]\napi_key = "{SECRET}"\nmodel = 3', "llm.model"),
    ],
)
def test_errors_never_show_secrets(text, key, tmp_path):
    message = refusal(config(tmp_path, text))
    assert SECRET not in message
    assert key in message


def test_loading_leaves_the_environment_alone(monkeypatch):
    monkeypatch.setenv("RAG_APP_COLLECTION", "papers")
    before = dict(os.environ)
    load_settings()
    assert dict(os.environ) == before


def test_unknown_key_of_a_named_encoder_is_named_with_those_beside_it(tmp_path):
    message = refusal(config(tmp_path, "[encoders.mine]\nurll = 'x'\n"))
    assert "encoders.mine.urll" in message
    assert "golden" in message
    assert "top_k" not in message


def test_a_pipe_is_refused_and_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(pipe := tmp_path / "pipe")
    with pytest.raises(SettingsError, match=r"settings file .*pipe.*not a regular file"):
        load_settings(pipe)
    monkeypatch.setenv("RAG_APP_SERVER__PASSWORD_FILE", str(pipe))
    with pytest.raises(SettingsError, match=r"secret file .*pipe.*not a regular file"):
        load_settings()


def test_a_file_that_is_nested_too_deeply_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="could not be read"):
        load_settings(config(tmp_path, f"a = {'[' * 100_000}"))
