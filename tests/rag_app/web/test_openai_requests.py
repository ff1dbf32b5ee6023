import pytest
from pydantic import ValidationError

from rag_app.web.openai_requests import ChatRequest, CompletionRequest, Refused


def chat(*turns: tuple[str, object], **more) -> ChatRequest:
    messages = [{"role": role, "content": content} for role, content in turns]
    return ChatRequest(model="m", messages=messages, **more)


def test_the_last_turn_is_the_question_and_the_system_is_left_out():
    body = chat(("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"))
    question, history = body.question()
    assert question == "c"
    assert [(turn.role, turn.content) for turn in history] == [("user", "a"), ("assistant", "b")]


def test_text_may_come_in_parts_but_pictures_are_refused():
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert chat(("user", parts)).question() == ("one\ntwo", [])
    with pytest.raises(Refused, match="image_url"):
        chat(("user", [*parts, {"type": "image_url", "image_url": {"url": "x"}}])).question()


@pytest.mark.parametrize("turns", [[], [("system", "a")], [("user", "a"), ("assistant", "b")]])
def test_without_a_question_at_the_end_nothing_is_asked(turns):
    with pytest.raises(Refused, match="it is the question"):
        chat(*turns).question()


@pytest.mark.parametrize(
    "unwanted",
    [
        {"n": 2},
        {"logprobs": True},
        {"tools": [{"type": "function"}]},
        {"response_format": {"type": "json_object"}},
    ],
)
def test_chats_are_refused_what_is_not_offered(unwanted):
    with pytest.raises(Refused, match=f"`{next(iter(unwanted))}` is not offered"):
        chat(("user", "a"), **unwanted).question()


def test_what_does_not_change_the_answer_is_let_through():
    harmless = {"n": 1, "logprobs": False, "tools": [], "response_format": {"type": "text"}}
    assert chat(("user", "a"), **harmless, temperature=1, seed=3).question() == ("a", [])


@pytest.mark.parametrize(
    "unwanted", [{"echo": True}, {"logprobs": 0}, {"logprobs": 1}, {"suffix": "a"}, {"best_of": 2}]
)
def test_completions_are_refused_what_is_not_offered(unwanted):
    body = CompletionRequest(model="m", prompt="a", **unwanted)
    with pytest.raises(Refused, match=f"`{next(iter(unwanted))}` is not offered"):
        body.questions()


def test_likelihoods_are_refused_with_the_reason():
    body = CompletionRequest(model="m", prompt="a", echo=True, logprobs=1, max_tokens=1)
    with pytest.raises(Refused, match=r"no likelihood.*generate_until"):
        body.questions()


@pytest.mark.parametrize("prompt", [[1, 2], [[1, 2], [3]], []])
def test_tokens_are_refused(prompt):
    with pytest.raises(Refused, match="tokenized_requests=False"):
        CompletionRequest(model="m", prompt=prompt).questions()


def test_several_prompts_are_several_questions_unless_streamed():
    assert CompletionRequest(model="m", prompt="a").questions() == ["a"]
    assert CompletionRequest(model="m", prompt=["a", "b"]).questions() == ["a", "b"]
    with pytest.raises(Refused, match="cannot be streamed"):
        CompletionRequest(model="m", prompt=["a", "b"], stream=True).questions()


def test_options_are_the_applications_and_checked():
    assert chat(("user", "a"), options={"top_k": 3}).options.top_k == 3
    with pytest.raises(ValidationError):
        chat(("user", "a"), options={"topk": 3})
