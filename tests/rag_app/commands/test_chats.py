"""The commands about conversations, in this process: what they print, write and refuse."""

import asyncio
import json
import stat
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from eval.adaptation.questions import read
from eval.datasets import beir
from eval.datasets.answers_jsonl import load_asked
from eval.datasets.asked import Asked
from rag_app.accounts.chats.chats import Chats
from rag_app.accounts.chats.votes import Vote
from rag_app.commands.program import app
from rag_app.errors import ApplicationError, SettingsError
from rag_app.results import Hit
from retrieval.training.pairs import Passage
from tests.rag_app.accounts.chats.talk import a_turn


@pytest.fixture
def storage(tmp_path, monkeypatch, encoder) -> Path:
    monkeypatch.setenv("RAG_APP_STORAGE__PATH", str(tmp_path / "storage"))
    return tmp_path / "storage"


@pytest.fixture
def kept(storage) -> str:
    async def keep() -> str:
        chats, turn = Chats(storage), a_turn("Where does the \x1b[31mheron nest?")
        identity = await chats.begin("a" * 32, "", turn)
        await chats.finish("a" * 32, identity, turn)
        await chats.rate_answer("a" * 32, identity, 1, "up", "right")
        return identity

    return asyncio.run(keep())


def run(*arguments: str | Path, error: type[Exception] | None = None) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    if error:
        assert isinstance(done.exception, error), done.exception
        return str(done.exception)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def test_conversations_are_listed_shown_and_deleted(kept):
    [listed] = json.loads(run("chats", "list", "HERON", "--json"))["conversations"]
    assert (listed["id"], listed["turns"]) == (kept, 1)
    assert json.loads(run("chats", "list", "eagle", "--json")) == {"conversations": []}
    table = run("chats", "list")
    assert kept in table
    assert "\x1b" not in table
    assert json.loads(run("chats", "show", kept, "--json"))["turns"][0]["text"] == a_turn().text
    shown = run("chats", "show", kept)
    assert "> [1] **birds.pdf, page 3**: In alders." in shown
    assert "\x1b" not in shown
    assert json.loads(run("chats", "delete", kept, "--json")) == {"deleted": [kept], "missing": []}
    assert "no conversation" in run("chats", "show", kept, error=ApplicationError)


def test_a_conversation_is_exported_for_people_and_for_programs(kept, tmp_path):
    for form, name in (("markdown", "a.md"), ("json", "a.json")):
        done = json.loads(
            run("chats", "export", kept, "--as", form, "--out", tmp_path / name, "--json")
        )
        assert done == {"file": str(tmp_path / name), "turns": 1}
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    shown = (tmp_path / "a.md").read_text()
    assert shown.replace("\x1b", "\ufffd") == run("chats", "export", kept)
    whole = json.loads((tmp_path / "a.json").read_text())
    assert whole == json.loads(run("chats", "export", kept, "--json"))
    assert whole["turns"][0]["citations"][0]["quotes"][0]["text"] == "alders"


def test_feedback_is_what_adapt_and_eval_read(kept, tmp_path):
    file = tmp_path / "good.jsonl"
    assert json.loads(run("chats", "export", "--feedback", file, "--json"))["questions"] == 2
    passages = [Passage("birds.pdf", "In alders.", (), "birds.pdf"), Passage("note-7", "Reed.")]
    assert [(one.question, one.gold) for one in read(file, passages)] == [
        ("Where does the grey heron nest?", "birds.pdf"),
        ("Where does the grey heron nest?", "note-7"),
    ]
    read_back = load_asked(Asked(f"jsonl:{file}", "jsonl", str(file)))
    assert [one.document for one in read_back.questions] == ["birds.pdf", ""]
    nothing = run("chats", "export", "--feedback", file, "-c", "other", error=ApplicationError)
    assert "nobody has found an answer good yet" in nothing


@pytest.mark.parametrize("arguments", [(), ("x", "--feedback", "y")])
def test_an_export_is_of_one_thing(storage, arguments):
    assert "--feedback" in run("chats", "export", *arguments, error=SettingsError)


def test_votes_are_exported_as_a_set_of_their_collection(storage, tmp_path):
    document, folder = tmp_path / "birds.md", tmp_path / "set"
    document.write_text("Herons nest in alders.")
    run("ingest", document, "-c", "birds")
    export = ("chats", "export", "--votes", folder, "-c", "birds")
    assert "nothing to write" in run(*export, error=ApplicationError)
    [hit] = json.loads(run("search", "herons", "-c", "birds", "--json"))["hits"]
    vote = Vote("Where?", "birds", ["bm25"], "bm25", [TypeAdapter(Hit).validate_python(hit)])
    asyncio.run(Chats(storage).keep_vote("a" * 32, vote))
    done = json.loads(run(*export, "--json"))
    assert (done["questions"], done["passages"], done["left_out"]) == (1, 1, 0)
    assert beir.load(folder).qrels == {"q1": {hit["passage_id"]: 1}}
    assert stat.S_IMODE((folder / "queries.jsonl").stat().st_mode) == 0o600
    assert "1 of 1 questions" in run(*export)
