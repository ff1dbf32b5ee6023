from data.secrets import Concealer, secret_values
from rag_app.settings import Settings, override


def test_every_secret_is_taken_out_wherever_it_is_said():
    secrets = [f"secret-{n}" for n in range(6)]
    held = override(
        Settings(),
        {
            "storage": {"api_key": secrets[0]},
            "encoder": {"api_key": secrets[1]},
            "encoders": {"mine": {"api_key": secrets[2]}},
            "llm": {"api_key": secrets[3]},
            "rewrite": {"llm": {"api_key": secrets[4]}},
            "server": {"password": secrets[5]},
        },
    )
    conceal = Concealer(held)
    for secret in secrets:
        assert conceal(f"HTTP 401: {secret} is wrong") == "HTTP 401: (hidden) is wrong"


def test_a_secret_that_begins_as_another_is_hidden_whole():
    held = override(Settings(), {"llm": {"api_key": "abcde"}, "server": {"password": "abcdefgh"}})
    assert Concealer(held)("abcdefgh abcde") == "(hidden) (hidden)"


def test_words_are_no_secrets():
    conceal = Concealer(Settings())  # whose keys are `none`
    assert conceal("none of it, at http://host:1/v1") == "none of it, at http://host:1/v1"


def test_log_ins_of_addresses_are_taken_out():
    assert Concealer(Settings())("at http://me:word@host:1/v1: no") == "at http://host:1/v1: no"


def test_a_short_secret_is_hidden_where_it_is_a_word():
    conceal = Concealer(override(Settings(), {"llm": {"api_key": "cat"}}))
    assert conceal("--key=cat catalogue") == "--key=(hidden) catalogue"


def test_each_secret_comes_with_the_names_that_lead_to_it():
    held = override(Settings(), {"llm": {"api_key": "sesame"}})
    assert (("llm", "api_key"), "sesame") in [*secret_values(held)]
    assert (("llm", "api_key"), "sesame") in [*secret_values(held.model_dump())]
