"""The hub is asked over its real protocol; what cannot be loaded is said with a hint."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eval.datasets import hub
from eval.errors import DatasetError
from tests.hub_server import hub as hub_server
from tests.hub_server import repository, table

REPOSITORY = Path(__file__).resolve().parents[3]
CATS = repository(
    corpus=table(
        corpus=[{"_id": "p1", "title": "Cats", "text": "Größe"}, {"_id": "p2", "text": "x"}]
    ),
    queries=table(queries=[{"_id": "1", "text": "who?"}, {"_id": "2", "text": "unjudged"}]),
)
TEST = {"query-id": 1, "corpus-id": "p1", "score": 2}
REPOSITORIES = {
    "mteb/cats": CATS | repository(default=table(test=[TEST])),
    "BeIR/cats": CATS,
    "BeIR/cats-qrels": table(test=[TEST]),
    "mteb/odd": CATS | repository(default=table(test=[{"query": 1}])),
    "mteb/script": {"README.md": b"", "script.py": b"raise SystemExit('code was run')"},
    "Idavidrein/gpqa": repository(gpqa_diamond=table(train=[{"Question": "secret"}])),
}
REPOSITORIES["mteb/cats"]["README.md"] = repository(
    corpus=table(corpus=[]), queries=table(queries=[]), default=table(test=[])
)["README.md"]
REPOSITORIES["mteb/odd"]["README.md"] = REPOSITORIES["mteb/cats"]["README.md"]

GOLD = [
    {"id": str(n), "gold_ids": [f"p/{n}"], "gold_ids_long": ["p"], "excluded_ids": ["N/A", "x"]}
    for n in range(112)
]
REPOSITORIES["xlangai/BRIGHT"] = repository(
    examples=table(pony=[{**row, "query": "asked"} for row in GOLD]),
    gpt4_reason=table(pony=[{**row, "query": "asked better"} for row in GOLD]),
    documents=table(pony=[{"id": f"p/{n}", "content": "t"} for n in range(7894)]),
)

LOAD = """
import json, sys
from pathlib import Path
from eval.datasets import catalogue
from eval.errors import DatasetError
told = {}
for name in sys.argv[2:]:
    load = catalogue.choice if name.startswith(("mmlu", "gpqa")) else catalogue.retrieval
    try:
        found = load(name, None, Path(sys.argv[1]))
    except DatasetError as error:
        told[name] = {"error": str(error)}
    else:
        keys = ("name", "queries", "qrels", "revision", "corpus")
        told[name] = {key: getattr(found, key, None) for key in keys}
print(json.dumps(told, default=str))
"""


def environment(url, folder):
    return {**os.environ, "HF_ENDPOINT": url, "HF_HOME": str(folder / "hf")}


def load(url, folder, *names):
    """What the catalogue says of data sets, in a process of its own that knows only this hub."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder / "cache"), *names],
        env=environment(url, folder),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    names = [
        "beir:mteb/cats",
        "beir:BeIR/cats",
        "beir:mteb/odd",
        "beir:mteb/script",
        "beir:mteb/no",
    ]
    with hub_server(REPOSITORIES, gated=frozenset({"Idavidrein/gpqa"})) as url:
        told = load(url, folder, *names, "gpqa_diamond", "bright:pony@gpt4")
    # The server is gone now: what was kept is read without it, and nothing else can be.
    alone = load(url, folder, "beir:mteb/cats", "beir:mteb/late")
    again = {"again": alone["beir:mteb/cats"], "late": alone["beir:mteb/late"]}
    return told | again | {"folder": folder, "url": url}


@pytest.mark.parametrize("name", ["beir:mteb/cats", "beir:BeIR/cats"])
def test_sets_of_the_hub_are_loaded_in_either_layout(told, name):
    assert told[name]["name"] == name
    assert told[name]["queries"] == {"1": "who?"}
    assert told[name]["qrels"] == {"1": {"p1": 2}}


def test_bright_is_loaded_with_its_documents_and_rewritten_queries(told):
    bright = told["bright:pony@gpt4"]
    assert bright["name"] == "bright:pony@gpt4_reason"
    assert set(bright["queries"].values()) == {"asked better"}
    assert bright["qrels"]["7"] == {"p/7": 1}
    with Path(bright["corpus"]).open() as lines:
        assert json.loads(next(lines)) == {"_id": "p/0", "text": "t"}


def test_what_was_fetched_is_kept_as_a_folder_and_read_without_the_hub(told):
    folder = told["folder"] / "cache" / "beir" / "mteb--cats"
    assert sorted(path.name for path in folder.iterdir()) == [
        "corpus.jsonl",
        "qrels",
        "queries.jsonl",
    ]
    assert json.loads((folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()[0]) == {
        "_id": "p1",
        "title": "Cats",
        "text": "Größe",
    }
    assert told["again"] == told["beir:mteb/cats"]


def test_a_table_without_the_columns_is_refused_and_nothing_half_is_kept(told):
    assert "has no column corpus-id" in told["beir:mteb/odd"]["error"]
    assert not list((told["folder"] / "cache" / "beir" / "mteb--odd").rglob("*.tsv*"))
    assert not list((told["folder"] / "cache").rglob(".partial*"))


def test_code_of_a_repository_is_not_run(told):
    assert "scripts are no longer supported" in told["beir:mteb/script"]["error"]


def test_a_set_that_the_hub_lacks_is_named_with_the_hint(told):
    error = told["beir:mteb/no"]["error"]
    assert "mteb/no (corpus, corpus) cannot be loaded from the hub" in error
    assert "put corpus.jsonl, queries.jsonl and qrels/test.tsv into" in error


def test_a_gated_set_is_told_as_such_with_the_commands_that_get_it(told):
    error = told["gpqa_diamond"]["error"]
    assert "gated" in error
    assert "hf auth login" in error
    assert "hf download Idavidrein/gpqa gpqa_diamond.csv --repo-type dataset" in error


def test_no_connection_is_said(told):
    assert f"{told['url']} cannot be reached" in told["late"]["error"]


def test_the_hub_and_the_local_copy_of_mmlu_are_the_same(shared_data, tmp_path):
    from eval.datasets.catalogue import choice

    ours = choice("mmlu", shared_data, tmp_path)
    rows = [
        {"question": q.question, "subject": q.subject, "choices": q.choices, "answer": q.answer}
        for q in ours.questions
    ]
    with hub_server({"cais/mmlu": repository(all=table(test=rows))}) as url:
        assert load(url, tmp_path, "mmlu")["mmlu"]["revision"] == ours.revision


def test_the_command_that_is_told_makes_the_local_copy(tmp_path):
    rows = [{"id": "a/1", "content": "Größe"}, {"id": "a/2", "content": "it's"}]
    target = tmp_path / "it's here" / "biology.jsonl"
    columns = {"id": "_id", "content": "text"}
    command = hub.command("xlangai/BRIGHT", "documents", "biology", target, columns)
    repositories = {"xlangai/BRIGHT": repository(documents=table(biology=rows))}
    with hub_server(repositories) as url:
        environ = environment(url, tmp_path)
        subprocess.run(command, shell=True, env=environ, check=True, timeout=120)  # noqa: S602
    lines = target.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"_id": "a/1", "text": "Größe"},
        {"_id": "a/2", "text": "it's"},
    ]


def test_a_file_is_kept_whole_or_not_at_all(tmp_path):
    target = tmp_path / "kept" / "file.jsonl"

    def torn():
        yield {"a": 1}
        raise DatasetError("the line broke")

    with pytest.raises(DatasetError, match="the line broke"):
        hub.keep(target, torn)
    assert list(target.parent.iterdir()) == []
    assert hub.keep(target, lambda: iter(["a\tb", "c"])).read_text() == "a\tb\nc\n"
    assert hub.keep(target, torn).read_text() == "a\tb\nc\n"


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match=r"x.jsonl cannot be written"):
        hub.keep(tmp_path / "file" / "x.jsonl", lambda: iter([{}]))


def test_without_the_library_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DatasetError, match=r"pip install 'rag-app\[eval\]'"):
        next(hub.rows("owner/name", None, "test", ""))
