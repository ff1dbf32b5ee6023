import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.llms.openai_like import OpenAILike

from generation.budget import TokenBudget
from generation.errors import GenerationError, QuestionTooLong, ReaderUnavailable
from generation.multiple_choice import FINAL_TOKENS, Chosen, choose, parse_letter
from tests.generation.support import passage
from tests.openai_server import Reply

QUESTION, CHOICES = "What rests?", ["Salt", "Dough", "Oil", "Water"]
PASSAGES = [passage("Dough rests an hour.", "bread.pdf"), passage("Salt does not.")]
BUDGET = TokenBudget(4000, 200)
Connect = Callable[[str], OpenAILike]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes clients; their connections are closed after the test."""
    async with httpx.AsyncClient(trust_env=False) as client:

        def connected(url: str, model: str = "tiny-model") -> OpenAILike:
            return OpenAILike(
                model=model, api_base=url, api_key="unused", is_chat_model=True,
                max_retries=0, async_http_client=client,
            )  # fmt: skip

        yield connected


@pytest.fixture
def ask(openai_server, connect):
    """Asks the scripted server."""

    async def asked(passages=(), *, budget=BUDGET, choices=CHOICES, **settings) -> Chosen:
        llm = connect(openai_server.url)
        return await choose(llm, QUESTION, choices, passages, budget=budget, **settings)

    return asked


async def test_a_model_thinks_and_then_names_a_letter(openai_server, ask):
    openai_server.replies = [Reply("<think>hm: A</think>It is dough."), Reply("B")]
    chosen = await ask(PASSAGES)
    assert (chosen.letter, chosen.index, chosen.state) == ("B", 1, "constrained")
    assert chosen.text == "It is dough."
    assert (chosen.passages_used, chosen.passages_given, chosen.truncated) == (2, 2, False)
    free, final = openai_server.requests
    assert "structured_outputs" not in free
    assert free["max_tokens"] == 200 - FINAL_TOKENS
    assert final["structured_outputs"] == {"choice": ["A", "B", "C", "D"]}
    assert final["messages"][:2] == free["messages"]
    assert final["messages"][2] == {"role": "assistant", "content": "It is dough."}
    assert "B. Dough" in free["messages"][1]["content"]


async def test_the_arms_differ_in_the_passages_alone(openai_server, ask):
    await ask(PASSAGES)
    await ask()
    grounded, closed = (openai_server.requests[i]["messages"] for i in (0, 2))
    assert grounded[0] == closed[0]
    assert grounded[1]["content"].endswith("\n" + closed[1]["content"])
    assert "Dough rests an hour." in grounded[1]["content"]
    assert openai_server.requests[0].keys() == openai_server.requests[2].keys()


async def test_the_same_question_is_the_same_request(openai_server, ask):
    await ask(PASSAGES)
    await ask(PASSAGES)
    assert openai_server.requests[0] == openai_server.requests[2]
    tag = re.search(r"<(passage-\w+) ", openai_server.requests[0]["messages"][1]["content"])[1]
    await ask(PASSAGES[:1])
    assert tag not in openai_server.requests[4]["messages"][1]["content"]


@pytest.mark.parametrize(
    ("text", "final", "letter", "state"),
    [
        ("Dough.", "The answer is (B).", "B", "parsed"),
        ("The answer is (B).", "I have said it.", "B", "parsed"),
        ("The answer is (A).", "B)", "B", "parsed"),
        ("Dough.", "Dough.", None, "unparsed"),
        ("Either A or B.", "", None, "unparsed"),
        ("Dough.", "E", None, "unparsed"),
    ],
)
async def test_a_server_that_does_not_constrain_is_parsed(
    openai_server, ask, text, final, letter, state
):
    openai_server.replies = [Reply(text), Reply(final)]
    chosen = await ask()
    assert (chosen.letter, chosen.state) == (letter, state)
    assert (chosen.index is None) == (letter is None)


async def test_a_server_that_refuses_the_constraint_is_asked_without(openai_server, ask):
    def reply(body):
        return Reply(status=400, error="unknown field") if "structured_outputs" in body else told

    told = Reply("The answer is (C).")
    openai_server.respond = reply
    chosen = await ask()
    assert (chosen.letter, chosen.state) == ("C", "parsed")
    assert len(openai_server.requests) == 3


@pytest.mark.parametrize(
    ("written", "handed_on"),
    [("<think>on and on", "on and on"), ("on</think>and on", "and on"), ("", "I have thought")],
)
async def test_thoughts_without_words_are_gone_on_from(openai_server, ask, written, handed_on):
    openai_server.replies = [Reply(written, finish_reason="length"), Reply("D")]
    chosen = await ask()
    assert (chosen.letter, chosen.truncated) == ("D", True)
    assert openai_server.requests[1]["messages"][2]["content"].startswith(handed_on)


async def test_tokens_of_both_calls_are_added_up(openai_server, ask):
    openai_server.replies = [Reply("It is dough."), Reply("B")]
    chosen = await ask()
    assert chosen.completion_tokens == 4
    sent = [m["content"] for request in openai_server.requests for m in request["messages"]]
    assert chosen.prompt_tokens == sum(len(content.split()) for content in sent)


async def test_tokens_are_counted_where_the_server_tells_none(openai_server, ask):
    openai_server.replies = [Reply("It is dough.", usage=False), Reply("B", usage=False)]
    chosen = await ask(budget=TokenBudget(4000, 200, lambda text: len(text.split())))
    assert chosen.completion_tokens == 4
    assert chosen.prompt_tokens > 4


async def test_passages_that_do_not_fit_are_counted(ask):
    chosen = await ask([*PASSAGES, passage("word " * 9000), PASSAGES[0]])
    assert (chosen.passages_used, chosen.passages_given) == (2, 4)
    with pytest.raises(GenerationError, match="None of the 1 passages fits"):
        await ask([passage("word " * 9000)])
    with pytest.raises(QuestionTooLong):
        await ask(choices=["word " * 9000, "other"])


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(status=429), "busy"),
        (Reply(status=500, error="scripted reason"), "scripted reason"),
        (Reply("x", hang_after=0), "within 2 s"),
        (Reply("x", die_after=0), "cannot be reached|broke off"),
        (Reply(body='{"id": '), "broke off"),
        (Reply(body="[1]"), "no answer"),
        (Reply(body='{"choices": []}'), "no answer"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
async def test_a_failing_server_is_an_error_and_no_wrong_answer(
    openai_server, ask, reply, said, first
):
    openai_server.replies = [reply] if first else [Reply("Hm."), reply]
    with pytest.raises(ReaderUnavailable, match=said):
        await ask(deadline=2 if reply.hang_after == 0 else 20)


async def test_a_closed_port_is_named(connect):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        llm = connect(f"http://127.0.0.1:{closed.getsockname()[1]}/v1")
        with pytest.raises(ReaderUnavailable, match="cannot be reached"):
            await choose(llm, QUESTION, CHOICES, budget=BUDGET)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"choices": ["one"]}, "got 1"),
        ({"choices": ["x"] * 27}, "got 27"),
        ({"deadline": 0}, "deadline"),
        ({"budget": TokenBudget(4000, FINAL_TOKENS)}, "max_answer_tokens"),
    ],
)
async def test_impossible_arguments_are_refused(ask, settings, named):
    with pytest.raises(ValueError, match=named):
        await ask(**settings)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (B).", "B"),
        ("the answer is B", "B"),
        ("**Answer:** C", "C"),
        ("Answer: **D**", "D"),
        ("The correct answer is option C.", "C"),
        ("So \\boxed{B}.", "B"),
        ("So \\boxed{\\text{B}}.", "B"),
        ("The answer is (A). No: the answer is (D), I think.", "D"),
        ("ANSWER: A\n\nThat was it.", "A"),
        ("Some words.\n(C)", "C"),
        ("Some words.\nC) Oil", "C"),
        ("It must be B.", "B"),
        ("B, since B rests.", "B"),
        ("A dough rests.", None),
        ("I like a loaf. A loaf.", None),
        ("Either A or B.", None),
        ("A is wrong, so is B", None),
        ("B\nSome words.", None),
        ("The answer is (E).", None),
        ("The answer is not here.", None),
        ("The answer is Dough.", None),
        ("Vitamin B's", None),
        ("\n \n", None),
        ("", None),
    ],
)
def test_a_letter_is_read_only_where_one_is_meant(text, letter):
    assert parse_letter(text, "ABCD") == letter


@given(st.text() | st.lists(st.sampled_from(["A", "B", "answer is", " ", "(", "\n"])).map("".join))
def test_any_text_is_parsed_to_a_letter_or_none(text):
    assert parse_letter(text, "AB") in {"A", "B", None}


@pytest.mark.slow
async def test_a_constrained_letter_can_always_be_read_on_a_real_server(chat_server, connect):
    llm = connect(f"{chat_server.url}/v1", "tiny-chat")
    budget = TokenBudget(2048, FINAL_TOKENS + 4)
    places = asyncio.Semaphore(16)

    async def one(i: int) -> Chosen:
        async with places:
            question, choices = f"Question {i}?", CHOICES[: 2 + i % 3]
            return await choose(llm, question, choices, PASSAGES[: i % 3], budget=budget)

    chosen = await asyncio.gather(*(one(i) for i in range(48)))
    assert {c.state for c in chosen} == {"constrained"}
    assert len({c.letter for c in chosen}) > 1, "the model chooses, not the client"
