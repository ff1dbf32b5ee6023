import json

import httpx
import openai
import pytest
from llama_index.core.llms import MockLLM
from llama_index.llms.openai_like import OpenAILike

from generation.errors import GenerationError, ReaderUnavailable
from generation.server_errors import explain_failure, server_address

REQUEST = httpx.Request("POST", "http://server/v1/chat/completions")


def explain(error: Exception) -> Exception:
    return explain_failure(error, "http://server/v1", "tiny", 30.0)


def status_error(status: int, body: object) -> openai.APIStatusError:
    response = httpx.Response(status, request=REQUEST)
    return openai.APIStatusError("told by the server", response=response, body=body)


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("https://user:secret@host/v1?key=secret#x", "https://host/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_the_address_is_shown_without_credentials(base, address):
    assert server_address(OpenAILike(model="tiny", api_base=base, api_key="k")) == address


def test_a_model_without_a_server_is_named_by_its_class():
    assert server_address(MockLLM()) == "MockLLM"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "within 30 s"),
        (openai.APITimeoutError(REQUEST), "within 30 s"),
        (httpx.ReadTimeout("slow"), "within 30 s"),
        (openai.APIConnectionError(request=REQUEST), "cannot be reached"),
        (httpx.RemoteProtocolError("peer closed"), "broke off its answer: peer closed"),
        (json.JSONDecodeError("bad", "x", 0), "broke off"),
        (openai.OpenAIError("no key is set"), "cannot be asked: no key is set"),
        (status_error(502, None), "HTTP 502"),
    ],
)
def test_what_a_client_raises_is_unavailability_with_its_address(error, said):
    explained = explain(error)
    assert isinstance(explained, ReaderUnavailable)
    assert said in str(explained)
    assert "http://server/v1" in str(explained)
    assert explained.hint


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_not_unavailability(status):
    explained = explain(status_error(status, {"message": "too long"}))
    assert type(explained) is GenerationError
    assert f"HTTP {status}, too long" in str(explained)


@pytest.mark.parametrize("body", [None, "Unauthorized", {"error": "Unauthorized"}, {"message": 3}])
def test_a_body_of_another_shape_is_no_trouble(body):
    assert "told by the server" in str(explain(status_error(500, body)))


def test_reasons_are_one_short_line_without_keys():
    explained = explain(status_error(400, {"message": "bad sk-abcdef123456\n" + "x" * 1000}))
    assert "sk-abcdef" not in str(explained)
    assert "\n" not in str(explained)
    assert len(explained.cause) < 330


def test_other_errors_are_returned_as_they_are():
    error = ValueError("a bug")
    assert explain(error) is error
