import pytest

from rag_app.assembly.encoders import LicenceNotAccepted, choose, rows
from rag_app.errors import SettingsError
from rag_app.settings import load_settings
from retrieval.encoders.registry import built_in

OWN = {
    "model_id": "me/mine",
    "dimension": 4,
    "pooling": "last",
    "causal": True,
    "licence": "MIT",
}


def settings(**tree):
    return load_settings(overrides=tree)


def test_the_settings_name_the_encoder_unless_the_caller_does():
    chosen = settings(encoder={"name": "reasonir-8b"})
    assert choose(chosen).row == built_in()["reasonir-8b"]
    assert choose(chosen, "minilm").row == built_in()["minilm"]


def test_the_section_of_the_encoder_in_use_says_nothing_about_others():
    chosen = settings(encoder={"name": "reasonir-8b", "backend": "vllm", "url": "http://a/v1"})
    assert (choose(chosen).backend, choose(chosen).url) == ("vllm", "http://a/v1")
    other = choose(chosen, "minilm")
    assert (other.backend, other.url) == ("onnx", "")


def test_the_table_of_a_name_wins_in_what_it_gives_and_in_nothing_else():
    chosen = settings(
        encoder={"name": "reasonir-8b", "backend": "vllm", "url": "http://a/v1"},
        encoders={"reasonir-8b": {"url": "http://b/v1", "passage_length": 100}},
    )
    made = choose(chosen)
    assert (made.backend, made.url, made.passage_length) == ("vllm", "http://b/v1", 100)
    assert made.query_length == built_in()["reasonir-8b"].query_length


def test_a_row_of_ones_own_is_used_and_listed():
    chosen = settings(encoder={"name": "mine"}, encoders={"mine": {"row": OWN}})
    assert choose(chosen).row.model_id == "me/mine"
    assert {row.name for row in rows(chosen)} == {*built_in(), "mine"}


def test_single_fields_of_a_row_that_ships_can_be_changed():
    chosen = settings(encoders={"minilm": {"row": {"passage_length": 128}}})
    assert choose(chosen).passage_length == 128
    assert choose(chosen).row.model_id == built_in()["minilm"].model_id


def test_a_bad_field_of_an_own_row_is_named():
    chosen = settings(encoders={"mine": {"row": {**OWN, "pooling": "max", "dimention": 3}}})
    with pytest.raises(SettingsError, match=r"\[encoders.mine.row\].*pooling.*dimention"):
        choose(chosen, "mine")


def test_an_unknown_name_lists_the_known_ones_and_how_to_add_it():
    chosen = settings(encoder={"name": "magic"}, encoders={"mine": {"row": OWN}})
    with pytest.raises(SettingsError, match=r"'magic'.*mine, minilm.*\[encoders.magic.row\]"):
        choose(chosen)


def test_a_backend_that_the_row_does_not_have_is_named_with_those_it_has():
    with pytest.raises(SettingsError, match=r"reasonir-8b cannot be run by onnx.*transformers"):
        choose(settings(encoder={"name": "reasonir-8b", "backend": "onnx"}))


def test_a_task_stands_for_the_rows_instruction_and_own_words_win():
    chosen = settings(encoder={"name": "reasonir-8b", "task": "biology"})
    assert choose(chosen).instruction == built_in()["reasonir-8b"].instructions["biology"]
    own = settings(encoder={"name": "reasonir-8b", "task": "biology", "instruction": ""})
    assert choose(own).instruction == ""
    assert choose(settings(encoder={"name": "reasonir-8b"})).instruction is None


def test_an_unknown_task_lists_the_known_ones():
    with pytest.raises(SettingsError, match=r"'cooking'.*biology"):
        choose(settings(encoder={"name": "reasonir-8b", "task": "cooking"}))
    with pytest.raises(SettingsError, match=r"'biology'.*none at all"):
        choose(settings(encoder={"task": "biology"}))


def test_an_instruction_for_an_encoder_that_follows_none_is_refused():
    with pytest.raises(SettingsError, match="minilm takes no instruction"):
        choose(settings(encoder={"instruction": "Find it"}))


def test_a_restricted_licence_must_be_accepted():
    with pytest.raises(LicenceNotAccepted, match=r"reasonir-8b.*NC.*https://.*--accept-license"):
        choose(settings(encoder={"name": "reasonir-8b"})).require_accepted()
    chosen = settings(encoder={"name": "reasonir-8b", "accept_license": True})
    choose(chosen).require_accepted()
    choose(settings()).require_accepted()


@pytest.mark.parametrize(("backend", "part"), [("vllm", "127.0.0.1"), ("openai", "api.openai.com")])
def test_served_encoders_have_a_usual_address(backend, part):
    chosen = settings(encoder={"name": "reasonir-8b", "backend": backend})
    assert part in choose(chosen).url
