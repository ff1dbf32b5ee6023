from rag_app.probes.concealing import concealer
from rag_app.settings import override


def test_every_secret_is_taken_out_wherever_it_is_said(settings):
    secrets = [f"secret-{n}" for n in range(6)]
    held = override(
        settings,
        {
            "storage": {"api_key": secrets[0]},
            "encoder": {"api_key": secrets[1]},
            "encoders": {"mine": {"api_key": secrets[2]}},
            "llm": {"api_key": secrets[3]},
            "rewrite": {"llm": {"api_key": secrets[4]}},
            "server": {"password": secrets[5]},
        },
    )
    conceal = concealer(held)
    for secret in secrets:
        assert conceal(f"HTTP 401: {secret} is wrong") == "HTTP 401: (hidden) is wrong"


def test_a_secret_that_begins_as_another_is_hidden_whole(settings):
    held = override(settings, {"llm": {"api_key": "abcde"}, "server": {"password": "abcdefgh"}})
    assert concealer(held)("abcdefgh abcde") == "(hidden) (hidden)"


def test_words_are_no_secrets(settings):
    conceal = concealer(settings)  # whose keys are `none`
    assert conceal("none of it, at http://host:1/v1") == "none of it, at http://host:1/v1"


def test_log_ins_of_addresses_are_taken_out(settings):
    assert concealer(settings)("at http://me:word@host:1/v1: no") == "at http://host:1/v1: no"
