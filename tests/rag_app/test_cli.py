import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rag_app.assembly import application as assembly
from rag_app.collections.ownership import Ownership
from rag_app.web.access import Access
from tests.rag_app.command import MAIN, environment, rag_app, require_clean
from tests.rag_app.served import address_of, listening, serving
from tests.rag_app.support import prose, write

NOTES = """# Harbour notes

The copper lantern hangs at the end of the northern pier. It is lit at dusk by the keeper.

## Tides

High water comes twice a day, and the ferry leaves one hour before it.
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    files = {"notes.md": NOTES, "a.txt": prose("a"), "broken.pdf": "no PDF"}
    return write(tmp_path_factory.mktemp("in"), files)


@pytest.fixture(scope="module")
def storage(tmp_path_factory, folder) -> Path:
    """A storage folder with two readable documents and one that is not."""
    storage = tmp_path_factory.mktemp("cli") / "storage"
    done = rag_app("ingest", folder, "--json", storage=storage)
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert report["collection"] == "default"
    assert report["documents"] == {
        "added": 2,
        "updated": 0,
        "unchanged": 0,
        "removed": 0,
        "failed": 1,
    }
    assert report["passages"] > 2
    assert report["seconds"] > 0
    (failure,) = report["failures"]
    assert failure["source"] == "broken.pdf"
    assert "plain text" in failure["reason"]
    return storage


def document(done: subprocess.CompletedProcess[str], status: int = 0) -> Any:
    """The one JSON document that a command printed."""
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


# --- starting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["config", "show"], ["cost"], ["encoders"]])
def test_commands_that_need_no_engine_start_without_any(arguments, tmp_path):
    heavy = "gradio torch qdrant_client qdrant_edge onnx onnxruntime llama_index fastapi"
    code = (
        f"import sys; import rag_app.cli; sys.argv = ['rag-app', *{arguments}]\n"
        "try: rag_app.cli.main()\n"
        f"finally: sys.exit(','.join(set('{heavy}'.split()) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path),
    )
    assert (done.stderr, done.returncode) == ("\n", 1), "sys.exit prints what was imported"
    if arguments == ["--help"]:
        commands = ("ingest", "search", "ask", "documents", "collections", "doctor", "config")
        assert all(command in done.stdout for command in commands)


@pytest.mark.parametrize("module", ["rag_app.commands.program", "pydantic", "eval.commands"])
def test_ctrl_c_while_the_command_is_imported_ends_it_quietly(module, tmp_path):
    code = (
        "import signal, sys, weakref\n"
        "def press(_): signal.raise_signal(signal.SIGINT)\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: weakref.ref(Finder(), press)\n"  # exceptions get lost here
        "sys.meta_path.insert(0, Finder())\n"
        "from rag_app.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "cost"]
    env = environment(tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("command", [["compare"], ["eval", "retrieval"]])
def test_help_says_that_a_system_may_name_an_encoder(command, tmp_path):
    done = rag_app(*command, "--help", storage=tmp_path)
    assert "RETRIEVER@ENCODER" in done.stdout, "Rich takes [@ENCODER] for markup of its own"


# --- the contract -----------------------------------------------------------------------------


def test_search_prints_hits_and_trace(storage):
    found = document(rag_app("search", "copper lantern", "--json", "--top-k", "2", storage=storage))
    assert len(found["hits"]) == 2
    hit = found["hits"][0]
    assert hit["source"] == "notes.md"
    assert "copper lantern" in hit["text"]
    assert NOTES[hit["char_start"] : hit["char_end"]].strip() == hit["text"].strip()
    assert set(hit["ranks"]) == {"dense", "bm25", "fused"}
    assert {"passage_id", "page", "score"} <= set(hit)
    assert [stage["stage"] for stage in found["trace"]["stages"]] == [
        "condense", "rewrite", "retrieve", "rerank",
    ]  # fmt: skip


def test_ask_prints_answer_and_citations(storage):
    question = "Where does the copper lantern hang?"
    told = document(rag_app("ask", question, "--json", storage=storage))
    assert "northern pier" in told["answer"]
    citation = told["citations"][0]
    place = {"collection", "source", "title", "place", "page", "boxes", "char_start", "char_end"}
    assert set(citation) == {"n", "passage_id", "quotes", "text"} | place
    assert f"[{citation['n']}]" in told["answer"]
    assert citation["source"] == "notes.md"
    assert told["trace"]["stages"][-1]["stage"] == "read"


def test_ask_for_people_streams_the_answer_and_lists_the_evidence(storage):
    done = rag_app(
        "ask", "Where does the copper lantern hang?", "--source", "notes.md", "--retriever", "bm25",
        storage=storage,
    )  # fmt: skip
    assert done.returncode == 0
    assert "northern pier" in done.stdout
    assert "[1] notes.md, characters" in done.stdout
    assert "milliseconds: condense" in done.stdout


def test_running_again_changes_nothing_and_people_are_told(storage, folder):
    done = rag_app("ingest", folder / "notes.md", folder / "a.txt", storage=storage)
    assert done.returncode == 0
    assert "0 added, 0 updated, 2 unchanged, 0 removed, 0 failed" in done.stdout


def test_documents_and_collections_are_listed_and_deleted(storage, folder):
    write(folder / "more", {"x.txt": prose("x"), "y.txt": prose("y")})
    document(rag_app("ingest", folder / "more", "-c", "more", "--json", storage=storage))
    listed = document(rag_app("documents", "list", "--json", storage=storage))
    assert listed["collection"] == "default"
    states = {each["source"]: each["state"] for each in listed["documents"]}
    assert states == {"a.txt": "ready", "notes.md": "ready", "broken.pdf": "failed"}
    gone = rag_app("documents", "delete", "x.txt", "none", "-c", "more", "--json", storage=storage)
    assert document(gone, 3) == {"collection": "more", "deleted": ["x.txt"], "missing": ["none"]}
    done = rag_app("documents", "delete", "none", "-c", "more", storage=storage)
    assert (done.returncode, done.stdout) == (1, "not there: none\n")
    known = document(rag_app("collections", "list", "--json", storage=storage))["collections"]
    assert [(each["name"], each["documents"]) for each in known] == [("default", 2), ("more", 1)]
    assert known[0]["encoder"] == "sentence-transformers/all-MiniLM-L6-v2"
    done = document(rag_app("collections", "delete", "more", "--json", storage=storage))
    assert done["deleted"] == ["more"]


def test_what_cannot_be_built_anew_is_named_and_counts(tmp_path, folder):
    storage = tmp_path / "storage"
    rag_app("ingest", folder / "notes.md", folder / "a.txt", storage=storage)
    (original,) = storage.glob("files/default/*.txt")
    original.write_bytes(b"")
    other = {"RAG_APP_CHUNKING__TOKENS": "64"}
    rebuilt = rag_app("collections", "rebuild", "default", storage=storage, **other)
    assert rebuilt.returncode == 1, "what is there stays, for the new index would hold less"
    assert "a.txt" in rebuilt.stderr
    (config,) = storage.glob("collections/default/*/edge_config.json")
    config.write_text("damaged")
    repaired = document(rag_app("collections", "repair", "default", "--json", storage=storage), 3)
    assert [failure["source"] for failure in repaired["failures"]] == ["a.txt"]


def test_doctor_tries_every_part(storage):
    found = document(rag_app("doctor", "--json", storage=storage, RAG_APP_SERVER__PORT="0"))
    roles = ["storage", "disk", "files", "qdrant", "index", "encoder", "reader", "port"]
    assert [probe["role"] for probe in found["probes"]] == roles
    assert all(probe["ok"] for probe in found["probes"])
    assert found["unused"] == ["rewriter", "reranker", "ray"]
    assert found["seconds"] > 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = rag_app("doctor", storage=storage, RAG_APP_SERVER__PORT=port)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line


def test_rarely_set_settings_are_shown_behind_the_others(tmp_path):
    lines = rag_app("config", "show", storage=tmp_path).stdout.splitlines()
    assert lines.index("[storage]") < lines.index("# ---- advanced ----") < lines.index("[ray]")
    section = lines[lines.index("[retrieval]") : lines.index("[condense]")]
    mark = section.index("# -- advanced --")
    names = [line.split(" = ")[0] for line in section]
    assert names.index("retriever") < mark < names.index("rrf_k")


def test_shown_settings_can_be_used_as_a_file(tmp_path):
    secret = "sk-do-not-show-me"
    key = {"RAG_APP_LLM__API_KEY": secret}
    done = rag_app("--profile", "gpu", "config", "show", storage=tmp_path, **key)
    assert secret not in done.stdout
    assert tomllib.loads(done.stdout)["encoder"]["precision"] == "fp32"
    path = tmp_path / "config.toml"
    path.write_text(done.stdout)
    again = rag_app("--config", path, "config", "show", storage=tmp_path)
    assert again.stdout == done.stdout
    tree = document(rag_app("config", "show", "--json", storage=tmp_path, **key))
    assert tree["llm"]["api_key"] == "**********"
    assert tree["retrieval"]["retriever"] == "hybrid"


# --- what goes wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "parts"),
    [
        (["search", "x", "--retriever", "nonsense"], 2, ["--retriever 'nonsense'", "'hybrid'"]),
        (["search", "x", "--encoder", "magic"], 2, ["encoder.name = 'magic'", "minilm"]),
        (["search", "x", "--top-k", "0"], 2, ["--top-k 0", "greater than"]),
        (["search", "x", "--rerank", "magic"], 2, ["--rerank 'magic'", "'none'", "'qwen'"]),
        (["search", "x", "--tpo-k", "1"], 2, ["--tpo-k"]),
        (["search"], 2, ["Missing argument"]),
        (["ingest", ".", "--engine", "magic"], 2, ["ingest.engine = 'magic'", "'ray'"]),
        (["--config", "absent.toml", "search", "x"], 2, ["absent.toml", "No such file"]),
        (["--profile", "desktop", "search", "x"], 2, ["'desktop'", "laptop"]),
        (["ingest", "absent", ""], 1, ["one of the paths is empty", "`.`"]),
        (["documents", "show", "broken.pdf"], 1, ["could not be read", "plain text"]),
        (["ingest", "absent"], 1, ["cannot find absent", "Check the spelling"]),
        (["search", "x", "-c", "absent"], 1, ["'absent' does not exist", "known: default"]),
        (["ask", "x", "--reader", "llm"], 2, ["no language model", "RAG_APP_LLM__MODEL"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_wrong_commands_are_explained_on_stderr_alone(storage, arguments, status, parts):
    done = rag_app(*arguments, storage=storage)
    assert (done.returncode, done.stdout) == (status, "")
    flat = " ".join(done.stderr.replace("│", " ").split())
    assert all(part in flat for part in parts), flat


def test_what_is_stored_is_for_its_user_alone(storage):
    for path in (storage, *storage.rglob("*")):
        assert path.lstat().st_mode & 0o077 == 0, path
    done = rag_app("doctor", "--json", storage=storage, RAG_APP_SERVER__PORT="0")
    assert f"{storage}, written as user {os.geteuid()}, mode 0700" in done.stdout


def test_a_storage_folder_that_cannot_be_used_is_explained(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    done = rag_app("collections", "list", storage=tmp_path / "file" / "storage", cwd=tmp_path)
    assert done.returncode == 1
    assert "not a directory" in done.stderr
    assert "RAG_APP_STORAGE__PATH" in done.stderr


def test_a_storage_folder_that_another_command_owns_is_explained(tmp_path):
    storage = tmp_path / "storage"
    ownership = Ownership(storage)
    done = rag_app("search", "x", storage=storage)
    ownership.release()
    assert done.returncode == 1
    assert "is in use" in done.stderr
    assert f"process {os.getpid()}" in done.stderr


def test_ctrl_c_ends_an_ingestion_in_words_and_running_again_finishes_it(storage, tmp_path):
    lines = [json.dumps({"_id": str(n), "text": prose(n, 1)}) for n in range(3000)]
    file = write(tmp_path, {"corpus.jsonl": "\n".join(lines)}) / "corpus.jsonl"
    command = [*MAIN, "ingest", str(file), "-c", "interrupted"]
    process = subprocess.Popen(
        command, env=environment(storage), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        pending = storage / "collections" / "interrupted" / "active"
        while not pending.exists() and process.poll() is None:
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    require_clean(process.returncode, err)
    assert (process.returncode, out) == (130, "")
    assert "interrupted; running the same command again goes on from there" in err
    listed = rag_app("documents", "list", "-c", "interrupted", "--json", storage=storage)
    assert {d["state"] for d in document(listed)["documents"]} <= {"interrupted"}
    rag_app("collections", "delete", "interrupted", storage=storage)


# --- beside a running application -------------------------------------------------------------


async def test_commands_work_through_an_application_that_is_running(settings, encoder, folder):
    application, ownership = assembly.open_application(settings)
    assert ownership is not None
    storage = settings.storage.path

    async def command(*arguments: str | Path, status: int = 0) -> Any:
        process = await asyncio.create_subprocess_exec(
            *MAIN, *map(str, arguments),
            env=environment(storage, network=True),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = (text.decode() for text in await process.communicate())
        require_clean(process.returncode or 0, err)
        assert process.returncode == status, err
        return json.loads(out) if "--json" in arguments else err

    with listening() as listener:
        token = ownership.announce(address_of(listener))
        async with serving(application, Access(token), listener=listener):
            report = await command("ingest", folder / "notes.md", "--json")
            assert report["documents"]["added"] == 1
            told = await command("ask", "Where does the copper lantern hang?", "--json")
            assert told["citations"][0]["source"] == "notes.md"
            assert told["trace"]["models"]["encoder"] == "tests/hashing", "the other one works"
            assert "'c' does not exist" in await command("search", "x", "-c", "c", status=1)
    done = rag_app("documents", "list", "--json", storage=storage)
    assert [each["source"] for each in document(done)["documents"]] == ["notes.md"]
