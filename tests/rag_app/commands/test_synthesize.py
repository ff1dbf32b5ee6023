"""Training data by a language model: a scripted server, its good answers and all its bad ones."""

import json
from collections import Counter

import pytest
from typer.testing import CliRunner

from data.errors import RagAppError
from data.files import held
from rag_app.assembly import components
from rag_app.commands.program import app
from rag_app.errors import SettingsError
from rag_app.synthesis import prompts
from retrieval.encoders.errors import EncoderError
from retrieval.training import examples
from tests.encoders import HashingEncoder
from tests.openai_server import Reply
from tests.rag_app.support import prose, write

datasets = pytest.importorskip("datasets", reason="optional: needs the extra `train`")
HANDBOOKS = (
    "good", "malformed", "truncated", "refused", "empty", "short", "naming", "twin", "double",
    "asked", "gold",
)  # fmt: skip
WORDS = "the crew moved slowly through fog while nobody knew which lamp had failed that night"


def query_of(name):
    return f"Two {name} crews argue about {name} work at the {name} pier; is one {name} crew right?"


def hq(name, bad=True):
    """What the model says of a handbook: usable, or bad in the way of its name."""
    asked = "twin" if bad and name == "double" else name
    said = "<think>{hm}</think>Concepts: {none}.\n" + json.dumps(
        {"hard_query": [{"scenario": query_of(asked), "question": "Say how you know."}]}
    )
    replies = {
        "malformed": Reply('{"hard_query": ["Which'),
        "truncated": Reply(said, finish_reason="length"),
        "refused": Reply("I'm sorry, but I cannot help with that."),
        "empty": Reply("<think>What now?</think>"),
        "short": Reply('{"hard_query": ["Why?"]}'),
        "naming": Reply('{"hard_query": "Which of the rules in this document is the oldest one?"}'),
    }
    return replies.get(name, Reply(said)) if bad else Reply(said)


def negative(_):
    return Reply(json.dumps({"hard_negative_document": f"Negative. {WORDS}. " * 3}))


class Script:
    """Answers by what is asked for, and about which handbook."""

    def __init__(self, server, **steps):
        self.server, self.steps = server, steps
        self.seen = Counter()
        server.respond = self.respond

    def respond(self, body):
        self.seen[json.dumps(body, sort_keys=True)] += 1
        said = body["messages"][-1]["content"]
        step = next(step for step, start in STEPS.items() if start in said)
        return self.steps[step](said)


STEPS = {
    "negative": "Write another document",
    "annotate": "Judge: 5 it settles",
    "hq": "such question(s)",
    "vl": "shows a field",
    "remixer": "An expert who knows",
    "reason": "essentially about, reason which",
    "worth": "Judge in a few words",
}


def name_in(said):
    return next(name for name in HANDBOOKS if f"{name.title()} handbook" in said)


@pytest.fixture
def ready(tmp_path, monkeypatch, encoder, openai_server):
    """A collection of handbooks, each of one passage, and a model to ask."""
    monkeypatch.setenv("RAG_APP_STORAGE__PATH", str(tmp_path / "storage"))
    monkeypatch.setenv("RAG_APP_CHUNKING__TOKENS", "300")
    monkeypatch.setenv("RAG_APP_LLM__API_BASE", openai_server.url)
    monkeypatch.setenv("RAG_APP_LLM__MODEL", openai_server.model)
    monkeypatch.setenv("RAG_APP_LLM__TIMEOUT", "60")
    texts = {f"{name}.md": f"# {name.title()} handbook\n\n{prose(name, 20)}" for name in HANDBOOKS}
    run("ingest", write(tmp_path / "in", texts))
    return openai_server


def run(*arguments, status=0):
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == status, (done.output, done.exception)
    return json.loads(done.stdout)


def test_good_answers_are_kept_and_bad_ones_counted_by_reason(ready, tmp_path):
    script = Script(ready, hq=lambda said: hq(name_in(said)), negative=negative)
    asked = tmp_path / "asked.jsonl"
    records = [{"question": query_of("asked")}, {"question": "Which?", "document": "gold.md"}]
    asked.write_text("\n".join(map(json.dumps, records)))
    options = ("synthesize", "hq", "--out", tmp_path / "out", "--exclude", asked)
    report = run(*options)
    made = examples.read(tmp_path / "out")
    assert sorted(one.query.split()[1] for one in made) == ["good", "twin"]
    assert all(one.query.endswith("\nSay how you know.") for one in made)
    assert report["dropped"] == {
        "contaminated": 1,
        "duplicate": 1,
        "passage: answers an evaluation": 1,
        "query: empty": 1,
        "query: malformed": 1,
        "query: names its document": 1,
        "query: refused": 1,
        "query: too short": 1,
        "query: truncated": 1,
    }
    assert report["calls"] == {"asked": 12, "kept": 0}
    for one in made:
        assert "handbook" in one.pos[0]
        assert one.neg[-1].startswith("Negative.")
        assert set(one.neg_id).isdisjoint({*one.pos_id, "gold.md"})
        assert len(one.neg) == len(one.neg_id)
    before = (tmp_path / "out" / "train.jsonl").read_bytes()
    again = run(*options)
    assert again["calls"] == {"asked": 0, "kept": 12}
    assert (tmp_path / "out" / "train.jsonl").read_bytes() == before
    assert max(script.seen.values()) == 1
    rows = datasets.load_dataset(
        "json", data_files=str(tmp_path / "out" / "train.jsonl"), split="train",
        cache_dir=str(tmp_path / "cache"),
    )  # fmt: skip
    assert {"query", "pos", "neg"} <= set(rows.column_names)


def test_a_folder_that_another_run_writes_to_is_refused(tmp_path):
    with held(tmp_path, RuntimeError()):
        done = CliRunner().invoke(app, ["synthesize", "audit", "--out", str(tmp_path)])
    assert isinstance(done.exception, SettingsError)
    assert f"another command writes to {tmp_path}" in str(done.exception)


def test_the_negative_is_asked_for_in_the_same_conversation(ready, tmp_path):
    long = " ".join([WORDS] * 25)  # 375 words

    def vl(said):
        name = name_in(said)
        query = {"short": "Too short a request."}.get(name, f"{name} {long}")
        positive = (
            "Read it." if name == "twin" else f"{name} knows: " + "lamps need oil daily. " * 9
        )
        return Reply(json.dumps({"query": query, "positive": positive}))

    bad = iter(["no JSON", '{"hard_negative_document": "Two words."}'])

    def once(said):
        return Reply(text) if (text := next(bad, "")) else negative(said)

    script = Script(ready, vl=vl, negative=once, reason=lambda _: Reply("It is about lamps."))
    report = run("synthesize", "vl", "--out", tmp_path / "out", "--reasoning")
    assert report["dropped"] == {
        "negative: malformed": 1,
        "negative: too short": 1,
        "query: not 300 to 2,000 words": 1,
        "query: positive too short": 1,
    }
    made = examples.read(tmp_path / "out")
    assert len(made) == len(HANDBOOKS) - 2
    assert sum(bool(one.neg) for one in made) == len(made) - 2
    assert all(one.reasoning_query == f"{one.query}\nIt is about lamps." for one in made)
    turns = [json.loads(body)["messages"] for body in script.seen if STEPS["negative"] in body]
    assert {tuple(turn["role"] for turn in one) for one in turns} == {
        ("system", "user", "assistant", "user")
    }


def test_candidates_come_from_other_documents_and_are_parted_by_their_grades(ready, tmp_path):
    grades = {"good": 5, "malformed": 3, "truncated": 2, "refused": 1, "short": 9}
    judged = []

    def annotate(said):
        request, _, document = said.partition("<document-")
        judged.append((request.split()[2], name_in(document)))
        if "empty crews" in request:
            return Reply("<score>1</score>")
        return Reply(f"Analysis. <score>{grades.get(name_in(document), 2)}</score>")

    script = Script(
        ready,
        remixer=lambda said: Reply(json.dumps({"query": query_of(name_in(said))})),
        annotate=annotate,
        reason=lambda _: Reply("It is about rules."),
    )
    asked = tmp_path / "asked.jsonl"
    asked.write_text(json.dumps({"question": "Which?", "document": "gold.md"}))
    options = ("synthesize", "remixer", "--out", tmp_path / "out", "--exclude", asked)
    report = run(*options)
    assert report["dropped"]["query: no positive"] == 1
    assert report["dropped"]["grade: no score"] == 8, "of `short`, by all but itself and `empty`"
    assert report["dropped"]["candidate: answers an evaluation"] == len(HANDBOOKS) - 1
    made = {one.query.split()[1]: one for one in examples.read(tmp_path / "out")}
    assert set(made) == {*HANDBOOKS} - {"gold", "empty"}
    assert all(document not in {request, "gold"} for request, document in judged)
    assert set(made["twin"].pos_id) == {"good.md", "malformed.md"}
    assert {"truncated.md", "refused.md"} < set(made["twin"].neg_id)
    assert "short.md" not in made["twin"].neg_id
    assert all(one.reasoning_query for one in made.values())
    before = sum(script.seen.values())
    run(*options)
    assert sum(script.seen.values()) == before


def test_a_server_that_dies_is_given_up_and_what_it_said_is_kept(ready, tmp_path):
    answered = []

    def dying(said):
        if len(answered) >= 4:
            return Reply("", die_after=0)
        answered.append(name_in(said))
        return hq(answered[-1], bad=False)

    Script(ready, hq=dying, negative=negative)
    options = ("synthesize", "hq", "--out", tmp_path / "out", "--negatives", "0")
    first = run(*options, status=3)
    assert first["calls"]["asked"] == 8, "four queries, and a negative of each"
    assert sum(first["failed"].values()) == first["dropped"]["query: not answered"]
    assert first["examples"] == 4
    script = Script(ready, hq=lambda said: hq(name_in(said), bad=False), negative=negative)
    second = run(*options)
    assert second["examples"] == len(HANDBOOKS)
    assert second["calls"]["kept"] == 8
    assert not any(name_in(body) in answered for body in script.seen if STEPS["hq"] in body)


def test_what_a_model_says_that_no_file_or_search_takes_ends_nothing(ready, tmp_path):
    """Half an emoji escaped in its JSON or in the server's, and a query without an end."""
    half = json.dumps({"hard_query": [query_of("good") + " \ud83d"]})
    longest = json.dumps({"hard_query": [query_of("malformed") + " why" * 50_000]})
    whole = hq("short", bad=False)
    served = {"choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": f"\ud83d {whole.text}",
    }}]}  # fmt: skip
    special = {
        "good": Reply(half),
        "malformed": Reply(longest),
        "short": Reply(body=json.dumps(served)),
    }
    Script(
        ready, hq=lambda said: special.get(name_in(said)) or hq(name_in(said), bad=False),
        negative=negative,
    )  # fmt: skip
    for _ in range(2):
        report = run("synthesize", "hq", "--out", tmp_path / "out")
        assert report["examples"] == len(HANDBOOKS) - 1
        assert report["dropped"] == {"query: too long": 1}


def test_a_search_that_fails_is_told_in_a_line(ready, tmp_path, monkeypatch):
    class Failing(HashingEncoder):
        def encode_queries(self, texts):
            raise EncoderError("the encoder went away")

    monkeypatch.setattr(components, "encoder", lambda *_: Failing())
    Script(ready, hq=lambda said: hq(name_in(said), bad=False), negative=negative)
    command = ("synthesize", "hq", "--retriever", "dense", "--out", str(tmp_path / "out"))
    failed = CliRunner().invoke(app, command)
    assert isinstance(failed.exception, RagAppError)
    assert "the encoder went away" in str(failed.exception)


def test_documents_are_graded_where_a_model_is_connected(ready, tmp_path, monkeypatch):
    values = {"good": 5, "empty": 0}
    Script(
        ready,
        worth=lambda said: Reply("nothing" if name_in(said) == "refused" else
                                 f"<score>{values.get(name_in(said), 3)}</score>"),
    )  # fmt: skip
    report = run("synthesize", "audit", "--out", tmp_path / "out")
    found = {one["document"]: one for one in report["findings"]}
    assert (found["good.md"]["grade"], found["good.md"]["reason"]) == (5, "")
    assert (found["empty.md"]["grade"], found["empty.md"]["reason"]) == (
        0, "a model finds nothing in it",
    )  # fmt: skip
    assert found["refused.md"]["grade"] is None
    assert report["dropped"] == {"grade: no score": 1}
    assert report["failed"] == {}
    monkeypatch.delenv("RAG_APP_LLM__MODEL")
    alone = run("synthesize", "audit", "--out", tmp_path / "alone")
    assert all(one["grade"] is None for one in alone["findings"])


def test_the_published_weights_are_those_of_lengths_and_levels():
    assert [weight for _, weight in prompts.LENGTHS] == [1, 2, 3, 3, 2, 1]
    assert [weight for _, weight in prompts.LEVELS] == [1, 2, 2]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hq", "vl", "remixer"])
def test_every_answer_of_a_real_server_is_accounted_for(
    ready, tmp_path, monkeypatch, chat_server, kind
):
    """The model is random, so its answers are noise: counted, and asked for once."""
    monkeypatch.setenv("RAG_APP_LLM__API_BASE", f"{chat_server.url}/v1")
    monkeypatch.setenv("RAG_APP_LLM__MODEL", "tiny-chat")
    monkeypatch.setenv("RAG_APP_LLM__TIMEOUT", "120")
    options = ("synthesize", kind, "--out", tmp_path / "out", "--limit", "2")
    report = run(*options)
    assert report["calls"]["asked"] == 2
    assert report["examples"] == 0
    lost = {"query: malformed", "query: truncated", "query: empty", "query: refused"}
    assert sum(report["dropped"].get(reason, 0) for reason in lost) == 2
    assert run(*options)["calls"] == {"asked": 0, "kept": 2}
