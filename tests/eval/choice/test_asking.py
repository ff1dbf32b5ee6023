"""A question is put alike in every arm, and its answer is kept under all that made it."""

from dataclasses import replace

import pytest

from eval.choice.arms import parse_all
from eval.choice.asking import TEXTS_KEPT, Asker, identity_of
from eval.choice.finding import Finder
from eval.choice.random_passages import PassagePool
from eval.choice.records import is_correct, record_of, sample_of
from eval.datasets.choice import Question
from eval.errors import EvalError
from eval.runs.cache import ResponseCache
from generation.errors import ReaderUnavailable
from generation.multiple_choice import Chosen

QUESTION = Question("q1", "Which colour has the lantern?", ("red", "blue", "green"), 1, "tools")
CLOSED, RAG, RANDOM = parse_all("closed_book,rag,random")
AGAIN = parse_all("closed_book#2")[0]


class Picker:
    """Chooses by rule: the first choice shown, or the one that `picks` names."""

    name = "picker"

    def __init__(self, picks="", texts=("a thought",), **identity):
        self.picks, self.texts, self.asked = picks, texts, []
        self.identity = {"chooser": "picker", "model": "m", "temperature": 0.0, **identity}

    def queries(self, question, choices):
        return ["\n".join([question, *choices]), *choices]

    async def choose(self, question, choices, passages=()):
        self.asked.append((question, list(choices), list(passages)))
        index = list(choices).index(self.picks) if self.picks else 0
        return Chosen("ABC"[index], index, self.texts[0], "constrained", False, 0, 0, 100, 10)


def asker(chooser, **more):
    return Asker(chooser=chooser, seed=0, private=False, identity=chooser.identity, **more)


@pytest.fixture
async def world(application, town):
    """A finder and a pool over the same collection."""
    found = Finder(application, town, passages=4, top_k=10, remembered=9)
    yield {"finder": found, "pool": await PassagePool.of(application, town, None)}
    await found.close()


async def test_arms_differ_in_nothing_but_passages(world):
    chooser = Picker()
    ask = asker(chooser, **world)
    records = [await ask.ask(QUESTION, arm, 0) for arm in (CLOSED, RAG, RANDOM)]
    assert len({(question, tuple(choices)) for question, choices, _ in chooser.asked}) == 1
    assert len({record["order"] for record in records}) == 1
    closed, rag, drawn = ([p.node.node_id for p in asked[2]] for asked in chooser.asked)
    assert closed == []
    assert len(rag) == len(drawn) == len(set(drawn)) > 4, "four of every query"
    assert not set(rag) & set(drawn)
    assert [shown["passage_id"] for shown in records[1]["passages"]] == rag


async def test_the_answer_counts_in_the_order_of_the_data_set():
    for picks, chosen in (("red", 0), ("blue", 1), ("green", 2)):
        ask = asker(Picker(picks))
        for repeat in range(3):
            record = await ask.ask(QUESTION, CLOSED, repeat)
            assert record["chosen"] == chosen
            assert is_correct(record) == sample_of(record).correct == (picks == "blue")


async def test_repeats_shift_the_choices_and_search_alike(world):
    chooser = Picker()
    ask = asker(chooser, **world)
    records = [await ask.ask(QUESTION, RAG, repeat) for repeat in range(3)]
    assert {choices[0] for _, choices, _ in chooser.asked} == {"red", "blue", "green"}
    assert len({str(record["passages"]) for record in records}) == 1


async def test_a_record_holds_all_of_a_sample(world):
    three = replace(QUESTION, choices=("red harbour", "blue lantern", "green willow"))
    record = await asker(Picker(), model=1e9, **world).ask(three, RAG, 1)
    sample = sample_of(record)
    assert (sample.arm, sample.id, sample.repeat, sample.subject) == ("rag", "q1", 1, "tools")
    assert (sample.state, sample.detail, sample.text) == ("ok", "constrained", "a thought")
    assert (sample.prompt_tokens, sample.completion_tokens) == (100, 10)
    assert sample.flops > 2e9 * 100
    assert sample.milliseconds > 0
    texts = [shown.text for shown in sample.passages]
    assert len(texts) > TEXTS_KEPT
    assert all(texts[:TEXTS_KEPT]), "the best can be read again"
    assert not any(texts[TEXTS_KEPT:])
    assert all(shown.source for shown in sample.passages)
    assert {**record, "cached": False} == {**record_of(sample), "cached": False}


async def test_a_passage_that_quotes_the_question_is_an_overlap(world):
    quoted = "Visitors come to see the lantern in spring, when the air is clear and the"
    record = await asker(Picker(), **world).ask(replace(QUESTION, question=quoted), RAG, 0)
    assert record["overlap"]
    assert not (await asker(Picker(), **world).ask(QUESTION, RAG, 0))["overlap"]


@pytest.mark.parametrize(("truncated", "state"), [(True, "truncated"), (False, "unparsed")])
async def test_an_answer_without_a_letter_is_no_guess(truncated, state):
    class Mute(Picker):
        async def choose(self, question, choices, passages=()):
            return Chosen(None, None, "hm", "unparsed", truncated, 0, 0, 1, 1)

    record = await asker(Mute()).ask(QUESTION, CLOSED, 0)
    assert (record["state"], record["chosen"]) == (state, None)
    assert not is_correct(record)


# --- the cache -------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path):
    with ResponseCache(tmp_path / "cache.sqlite") as opened:
        yield opened


async def test_an_answer_is_asked_for_once(cache, world):
    chooser = Picker()
    ask = asker(chooser, cache=cache, **world)
    for arm in (CLOSED, RAG):
        first = await ask.ask(QUESTION, arm, 0)
        again = await ask.ask(QUESTION, arm, 0)
        assert (first["cached"], again["cached"]) == (False, True)
        unlike = {"cached": None, "milliseconds": None}
        assert {**first, **unlike} == {**again, **unlike}
    assert len(chooser.asked) == 2


async def test_a_replicate_is_never_taken_from_the_cache(cache):
    chooser = Picker()
    ask = asker(chooser, cache=cache)
    for _ in range(2):
        assert not (await ask.ask(QUESTION, AGAIN, 0))["cached"]
    assert not (await ask.ask(QUESTION, CLOSED, 0))["cached"], "nor is it put there"


@pytest.mark.parametrize(
    ("change", "repeat"),
    [
        ({}, 1),
        ({"question": replace(QUESTION, question="Which colour has the harbour?")}, 0),
        ({"question": replace(QUESTION, choices=("red", "blue", "black"))}, 0),
        ({"chooser": Picker(model="n")}, 0),
        ({"chooser": Picker(temperature=0.7)}, 0),
        ({"chooser": Picker(context_window=99)}, 0),
        ({"identity": {"code": "of another version"}}, 0),
        ({"identity": {"address": "http://elsewhere/v1"}}, 0),
        ({"private": True}, 0),
    ],
)
async def test_whatever_matters_makes_another_answer(cache, change, repeat):
    ask = asker(Picker(), cache=cache)
    await ask.ask(QUESTION, CLOSED, 0)
    assert (await ask.ask(QUESTION, CLOSED, 0))["cached"], "without a change it is there"
    chooser = change.get("chooser", ask.chooser)
    identity = {**chooser.identity, **change.get("identity", {})}
    private = change.get("private", False)
    other = replace(ask, chooser=chooser, identity=identity, private=private)
    record = await other.ask(change.get("question", QUESTION), CLOSED, repeat)
    assert not record["cached"]


async def test_other_passages_make_another_answer(cache, application, town, world):
    ask = asker(Picker(), cache=cache, **world)
    await ask.ask(QUESTION, RAG, 0)
    fewer = Finder(application, town, passages=3, top_k=10, remembered=9)
    assert not (await replace(ask, finder=fewer).ask(QUESTION, RAG, 0))["cached"]
    assert not (await ask.ask(QUESTION, RANDOM, 0))["cached"]
    assert not (await ask.ask(QUESTION, CLOSED, 0))["cached"]


def test_the_identity_names_the_code_that_writes_prompts_and_reads_answers():
    identity = identity_of(Picker(), "http://here/v1")
    assert identity["model"] == "m"
    assert identity["address"] == "http://here/v1"
    assert len(identity["code"]) == 64
    assert identity == identity_of(Picker(), "http://here/v1")


# --- private data sets -----------------------------------------------------------------------

SECRET = replace(
    QUESTION, question="Which xylophone quasar?", choices=("zebra crossing", "yak", "walrus")
)


async def test_a_private_question_leaves_no_text(cache, world, tmp_path):
    ask = replace(asker(Picker(texts=("xylophone thoughts",)), cache=cache, **world), private=True)
    record = await ask.ask(SECRET, RANDOM, 0)
    assert record["state"] == "ok"
    assert {shown["text"] for shown in record["passages"]} == {""}
    assert all(shown["source"] for shown in record["passages"])
    cache.close()
    kept = str(record).encode() + b"".join(p.read_bytes() for p in tmp_path.glob("cache*"))
    for word in (b"xylophone", b"zebra", b"walrus", b"thoughts", b"Visitors"):
        assert word not in kept


async def test_a_server_that_quotes_a_private_question_is_not_quoted(world):
    class Quoting(Picker):
        async def choose(self, question, choices, passages=()):
            raise ReaderUnavailable("The model failed", cause=question, hint="Try again.")

    ask = asker(Quoting())
    with pytest.raises(ReaderUnavailable, match="xylophone"):
        await ask.ask(SECRET, CLOSED, 0)
    with pytest.raises(EvalError, match=r"The model failed. Try again") as caught:
        await replace(ask, private=True).ask(SECRET, CLOSED, 0)
    assert "xylophone" not in str(caught.value)
    assert caught.value.__suppress_context__
