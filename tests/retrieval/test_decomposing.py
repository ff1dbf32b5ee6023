import pytest

from retrieval.decomposing import LLMDecomposer
from tests.openai_server import Reply

QUESTION = "Who leads the firm that built the harbour?"


@pytest.fixture
def decomposer(openai_server, model):
    """Makes decomposers of the scripted server."""

    def make(**settings) -> LLMDecomposer:
        return LLMDecomposer(model(openai_server.url), **settings)

    return make


async def test_the_question_and_its_parts_are_searched(openai_server, decomposer):
    openai_server.replies = [
        Reply("<think>Two steps.</think>\n1. Which firm built the harbour?\n- Who leads it?\n\n")
    ]
    made = await decomposer().rewrite(QUESTION)
    assert made.queries == (QUESTION, "Which firm built the harbour?", "Who leads it?")
    assert made.notes == {"parts": 2}
    assert openai_server.requests[0]["temperature"] == 0.0


@pytest.mark.parametrize(
    "written",
    [
        "Here are the sub-questions:\n\n- Which firm built it?\n- Who leads it?",
        "**Sub-question 1:** Which firm built it?\n**Sub-question 2:** Who leads it?",
        '["Which firm built it?", "Who leads it?"]',
        '```\n1) "Which firm built it?"\n2) "Who leads it?"\n```',
        "Question: Which firm built it?\n\nQuestion: Who leads it?",
    ],
)
async def test_what_models_write_around_the_parts_is_not_searched(
    openai_server, decomposer, written
):
    openai_server.replies = [Reply(written)]
    made = await decomposer().rewrite(QUESTION)
    assert made.queries == (QUESTION, "Which firm built it?", "Who leads it?")


async def test_a_question_of_one_fact_stays_alone(openai_server, decomposer):
    openai_server.replies = [Reply(QUESTION)]
    assert (await decomposer().rewrite(QUESTION)).queries == (QUESTION,)


async def test_no_more_parts_than_allowed(openai_server, decomposer):
    openai_server.replies = [Reply("a?\nb?\nc?\na?")]
    assert (await decomposer(parts=2).rewrite(QUESTION)).queries == (QUESTION, "a?", "b?")


REPLIES = [Reply(""), Reply(status=500), Reply("<think>on"), Reply("a", hang_after=0)]


@pytest.mark.parametrize("reply", REPLIES)
async def test_a_failure_leaves_the_question(openai_server, decomposer, reply):
    openai_server.replies = [reply]
    made = await decomposer(deadline=1).rewrite(QUESTION)
    assert made.queries == (QUESTION,)
    assert made.notes["fallback"]


@pytest.mark.parametrize("wrong", [{"parts": 1}, {"deadline": 0}, {"temperature": -1}])
def test_arguments_out_of_range_are_refused(decomposer, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        decomposer(**wrong)
