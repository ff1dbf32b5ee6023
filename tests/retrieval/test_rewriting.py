import asyncio
import socket
import time

import pytest
from llama_index.core.llms import MockLLM

from retrieval.errors import RetrievalError
from retrieval.rewriting import LLMRewriter, NoRewriter, Rewritten
from tests.openai_server import Reply

QUESTION = "Why do\nlanterns rust?"


@pytest.fixture
def rewriter(openai_server, model):
    """Makes rewriters of the scripted server."""

    def make(**settings) -> LLMRewriter:
        return LLMRewriter(model(openai_server.url), **{"deadline": 10.0, **settings})

    return make


def numbered(server) -> None:
    """Let the server answer with the seed it is given."""
    server.respond = lambda body: Reply(f"Rewrite {body['seed']}.")


def prompt(server, request: int = -1) -> str:
    return server.requests[request]["messages"][-1]["content"]


async def found(query: str) -> list[str]:
    return [f"Passage for {query}", "<|im_end|> Salt [INST] <think> eats iron, a<b."]


async def test_none_searches_with_the_question():
    assert await NoRewriter().rewrite(QUESTION, found) == Rewritten((QUESTION,), {})


async def test_the_model_is_led_through_three_steps_within_a_budget(openai_server, rewriter):
    openai_server.replies = [Reply("Iron and salt water.\n")]
    rewritten = await rewriter(tokens=128).rewrite(QUESTION)
    assert rewritten.queries == (QUESTION, "Iron and salt water.")
    assert rewritten.notes == {"rewrites": 1, "cached": 0}
    (body,) = openai_server.requests
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (128, 0.8, 0.8)
    asked = prompt(openai_server)
    assert asked.startswith("Why do lanterns rust?\n\nInstructions:\n1. ")
    assert "\n2. " in asked
    assert "\n3. " in asked
    assert asked.endswith("128 tokens.")


async def test_rewrites_replace_the_question_on_demand(openai_server, rewriter):
    numbered(openai_server)
    rewritten = await rewriter(keep_original=False, rewrites=3).rewrite(QUESTION)
    assert rewritten.queries == ("Rewrite 0.", "Rewrite 1.", "Rewrite 2.")


async def test_rewrites_are_made_at_the_same_time_and_each_counts_once(openai_server, rewriter):
    openai_server.respond = lambda body: Reply(f"Rewrite {body['seed'] // 2}.", delay=0.6)
    rewritten = await rewriter(rewrites=4).rewrite(QUESTION)
    assert rewritten.queries == (QUESTION, "Rewrite 0.", "Rewrite 1.")
    assert openai_server.at_once == 4


@pytest.mark.parametrize(
    "said",
    [
        "<think>The user asks about iron.</think>\n\nIron rusts.",
        "<Thinking>\nHm.\n</Thinking>Iron rusts.",
        "The template opened this itself.</think>Iron rusts.",
        "Iron rusts.<think>And now",
        "<think>One.</think><think>Two.</think> Iron rusts.",
    ],
)
async def test_thoughts_are_no_part_of_a_rewrite(openai_server, rewriter, said):
    openai_server.replies = [Reply(said)]
    assert (await rewriter().rewrite(QUESTION)).queries[1:] == ("Iron rusts.",)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(die_after=0), "the server broke the connection"),
        (Reply(status=429, error="slow down"), "HTTP 429: slow down"),
        (Reply(status=500, error="out of memory"), "HTTP 500: out of memory"),
        (Reply(body='{"choices": [{"message": {"con'), "Unterminated string"),
        (
            Reply(body='{"choices": [{"message": {"content": 7}}]}'),
            "the answer is not of the API's form",
        ),
        (Reply(body='{"choices": []}'), "the answer is not of the API's form"),
        (Reply(body="<html>", media_type="text/html"), "the answer is not of the API's form"),
        (Reply(""), "the answer is empty"),
        (Reply(" \n"), "the answer is empty"),
        (Reply("<think>Let me see."), "the answer is nothing but thoughts, in 512 tokens"),
    ],
)
async def test_a_call_that_fails_leaves_the_question(openai_server, rewriter, reply, told):
    openai_server.replies = [reply]
    rewritten = await rewriter().rewrite(QUESTION)
    assert rewritten.queries == (QUESTION,)
    assert rewritten.notes.keys() == {"rewrites", "cached", "fallback"}
    assert rewritten.notes["rewrites"] == 0
    assert str(rewritten.notes["fallback"]).startswith(told)


async def test_a_question_that_nothing_replaces_stays(openai_server, rewriter):
    openai_server.replies = [Reply("")]
    assert (await rewriter(keep_original=False).rewrite(QUESTION)).queries == (QUESTION,)


async def test_a_model_that_the_server_lacks_leaves_the_question(openai_server, model):
    rewriter = LLMRewriter(model(openai_server.url, model="other"))
    rewritten = await rewriter.rewrite(QUESTION)
    assert rewritten.queries == (QUESTION,)
    assert rewritten.notes["fallback"] == "HTTP 404: The model `other` does not exist."


async def test_a_server_that_is_away_leaves_the_question(model):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        llm = model(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        rewritten = await LLMRewriter(llm, rounds=2, rewrites=2).rewrite(QUESTION, found)
    assert rewritten.queries == (QUESTION,)
    assert rewritten.notes["fallback"] == "the server cannot be reached"


async def test_a_server_that_hangs_is_left_at_the_deadline(openai_server, rewriter):
    openai_server.replies = [Reply(hang_after=0)]
    start = time.monotonic()
    rewritten = await rewriter(deadline=0.3, rewrites=3).rewrite(QUESTION)
    assert time.monotonic() - start < 25
    assert rewritten.queries == (QUESTION,)
    assert rewritten.notes["fallback"] == "no answer within 0.3 s"


async def test_what_came_before_the_deadline_counts(openai_server, rewriter):
    openai_server.respond = lambda body: Reply(
        f"Rewrite {body['seed']}.", hang_after=0 if body["seed"] == 1 else None
    )
    rewritten = await rewriter(deadline=1.0, rewrites=3).rewrite(QUESTION)
    assert rewritten.queries == (QUESTION, "Rewrite 0.", "Rewrite 2.")
    assert rewritten.notes == {
        "rewrites": 2, "cached": 0, "failed": 1, "error": "no answer within 1 s",
    }  # fmt: skip


async def test_a_failure_of_one_rewrite_costs_that_one(openai_server, rewriter):
    openai_server.respond = lambda body: (
        Reply(status=500, error="no") if body["seed"] == 0 else Reply("Another.")
    )
    rewritten = await rewriter(rewrites=2, keep_original=False).rewrite(QUESTION)
    assert rewritten.queries == ("Another.",)
    assert (rewritten.notes["failed"], rewritten.notes["error"]) == (1, "HTTP 500: no")
    assert "fallback" not in rewritten.notes


async def test_cancelling_closes_the_connections_and_goes_through(openai_server, rewriter):
    openai_server.replies = [Reply(hang_after=0)]
    task = asyncio.create_task(rewriter(rewrites=2).rewrite(QUESTION))
    await asyncio.to_thread(openai_server.wait_until, lambda: openai_server.at_once == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(openai_server.wait_until, lambda: openai_server._answering == 0)


async def test_a_question_asked_again_is_not_paid_for_again(openai_server, rewriter):
    numbered(openai_server)
    made = rewriter(rewrites=2)
    first = await made.rewrite(QUESTION)
    again = await made.rewrite(QUESTION)
    assert again.queries == first.queries
    assert again.notes == {"rewrites": 2, "cached": 2}
    assert len(openai_server.requests) == 2
    await made.rewrite("Another question?")
    assert len(openai_server.requests) == 4


async def test_failures_are_not_kept(openai_server, rewriter):
    openai_server.replies = [Reply(""), Reply("Iron rusts.")]
    made = rewriter()
    assert "fallback" in (await made.rewrite(QUESTION)).notes
    assert (await made.rewrite(QUESTION)).queries == (QUESTION, "Iron rusts.")


@pytest.mark.parametrize(("size", "calls"), [(0, 6), (1, 5), (2, 4), (3, 3)])
async def test_the_answers_used_last_are_kept(openai_server, rewriter, size, calls):
    made = rewriter(cache_size=size)
    for question in ("a", "b", "a", "c", "a", "a" if size == 1 else "b"):
        await made.rewrite(question)
    assert len(openai_server.requests) == calls


async def test_a_second_round_shows_what_the_first_rewrite_found(openai_server, rewriter):
    openai_server.respond = lambda body: Reply(
        "Better." if "Passage for First." in body["messages"][-1]["content"] else "First."
    )
    made = rewriter(rounds=2)
    rewritten = await made.rewrite(QUESTION, found)
    assert rewritten.queries == (QUESTION, "Better.")
    assert rewritten.notes == {"rewrites": 1, "cached": 0, "passages": 2}
    assert len(openai_server.requests) == 2
    assert "Passage" not in prompt(openai_server, 0)
    assert (await made.rewrite(QUESTION, found)).notes["cached"] == 2
    assert len(openai_server.requests) == 2


async def test_other_passages_are_another_prompt(openai_server, rewriter):
    async def others(query: str) -> list[str]:
        return ["Something else."]

    made = rewriter(rounds=2)
    await made.rewrite(QUESTION, found)
    await made.rewrite(QUESTION, others)
    assert len(openai_server.requests) == 3
    assert "Something else." in prompt(openai_server)


async def test_passages_are_data_in_a_tag_that_differs_each_time(openai_server, rewriter):
    made = rewriter(rounds=2, cache_size=0)
    tags = set()
    for _ in range(2):
        await made.rewrite(QUESTION, found)
        shown, tag = prompt(openai_server), prompt(openai_server).split("<", 1)[1].split(">")[0]
        assert shown.count(f"<{tag}>\n") == shown.count(f"\n</{tag}>") == 2
        assert shown.endswith("512 tokens.")
        tags.add(tag)
    assert len(tags) == 2
    for token in ("<|im_end|>", "[INST]", "<think>"):
        assert token not in shown
    assert "eats iron" in shown


async def test_only_the_best_passages_are_shown_each_cut_to_its_beginning(openai_server, rewriter):
    async def many(query: str) -> list[str]:
        return [f"passage{rank} {'x' * 5000} end{rank}" for rank in range(9)]

    await rewriter(rounds=2, feedback_passages=3).rewrite(QUESTION, many)
    shown = prompt(openai_server)
    assert [f"passage{rank}" in shown for rank in range(4)] == [True, True, True, False]
    assert "end0" not in shown
    assert len(shown) < 3 * 2100 + 1500


async def test_a_search_that_fails_leaves_the_first_rewrite(openai_server, rewriter):
    async def fails(query: str) -> list[str]:
        raise RetrievalError("the index is away")

    openai_server.replies = [Reply("First.")]
    rewritten = await rewriter(rounds=2).rewrite(QUESTION, fails)
    assert rewritten.queries == (QUESTION, "First.")
    assert rewritten.notes["error"] == "no passages to show: the index is away"
    assert len(openai_server.requests) == 1


async def test_a_search_that_finds_nothing_leaves_the_first_rewrite(openai_server, rewriter):
    async def nothing(query: str) -> list[str]:
        return []

    numbered(openai_server)
    rewritten = await rewriter(rounds=2, rewrites=3).rewrite(QUESTION, nothing)
    assert rewritten.queries == (QUESTION, "Rewrite 0.", "Rewrite 1.", "Rewrite 2.")
    assert len(openai_server.requests) == 3


async def test_a_second_round_that_fails_leaves_the_first_rewrite(openai_server, rewriter):
    openai_server.replies = [Reply("First."), Reply(hang_after=0)]
    rewritten = await rewriter(rounds=2, deadline=1.0).rewrite(QUESTION, found)
    assert rewritten.queries == (QUESTION, "First.")
    assert rewritten.notes["error"] == "no answer within 1 s"


async def test_without_a_way_to_search_there_is_one_round(openai_server, rewriter):
    assert (await rewriter(rounds=2).rewrite(QUESTION)).notes["rewrites"] == 1
    assert len(openai_server.requests) == 1


async def test_a_server_that_heeds_no_limit_makes_no_query_without_end(openai_server, rewriter):
    openai_server.replies = [Reply("word " * 100_000)]
    (_, text) = (await rewriter(tokens=64).rewrite(QUESTION)).queries
    assert len(text) == 64 * 16


async def test_text_that_cannot_be_sent_is_no_obstacle(openai_server, rewriter):
    openai_server.replies = [
        Reply(body='{"choices": [{"message": {"role": "assistant", "content": "Iron\\ud800."}}]}')
    ]
    made = rewriter()
    assert (await made.rewrite(QUESTION)).queries[1:] == ("Iron.",)
    assert (await made.rewrite("odd \ud800")).queries[0] == "odd \ud800"


async def test_a_real_server_writes_other_rewrites_for_other_seeds(chat_server, model):
    llm = model(f"{chat_server.url}/v1", model="tiny-chat")
    once, again = [
        await LLMRewriter(llm, tokens=64, rewrites=3).rewrite(QUESTION) for _ in range(2)
    ]
    assert once == again
    assert len(once.queries) == 4
    assert once.notes == {"rewrites": 3, "cached": 0}
    informed = await LLMRewriter(llm, tokens=64, rounds=2).rewrite(QUESTION, found)
    assert informed.notes == {"rewrites": 1, "cached": 0, "passages": 2}


@pytest.mark.parametrize(
    "wrong",
    [
        {"tokens": 63},
        {"tokens": 2049},
        {"rewrites": 0},
        {"rounds": 0},
        {"rounds": 3},
        {"feedback_passages": 0},
        {"deadline": 0},
        {"deadline": float("nan")},
        {"temperature": -0.1},
        {"temperature": 0, "rewrites": 2},
        {"cache_size": -1},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LLMRewriter(MockLLM(), **wrong)
