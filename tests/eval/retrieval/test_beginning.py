"""How runs begin: public data sets, one's own documents, files of other programs."""

import json
import shutil

import pytest

from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.retrieval import beginning
from eval.retrieval.beginning import begin, begin_external, begin_generated
from eval.retrieval.plan import RetrievalPlan
from eval.runs.directory import RunDirectory
from rag_app.assembly import application as assembly
from rag_app.settings import override
from tests.eval.retrieval.support import WORDS, beir, finish, plan
from tests.openai_server import Reply
from tests.rag_app.support import prose, write


@pytest.fixture
def opened(encoder):
    return lambda settings: assembly.open_application(settings)[0]


@pytest.fixture
def settings(settings):
    return override(settings, {"chunking": {"tokens": 64, "overlap": 8}})


@pytest.fixture
async def collection(settings, opened, tmp_path) -> str:
    application = opened(settings)
    files = {f"{name} notes.txt": prose(name, 30) for name in ("anna", "berta")}
    await application.ingest("mine", [write(tmp_path / "in", files)])
    await application.close()
    return "mine"


async def test_own_questions_compare_retrievers_and_are_asked_again(
    tmp_path, settings, collection, opened
) -> None:
    asked = plan("own", "bm25", "dense", collection=collection)
    first = await begin_generated(tmp_path / "a", asked, settings, 4, opened=opened)
    metrics = await finish(first, opened=opened)
    assert metrics["dataset"] == "own:mine"
    assert metrics["systems"]["bm25"]["recall@100"] == 1
    assert "favour" in metrics["notes"][0]
    again = await begin_generated(tmp_path / "b", asked, settings, 4, opened=opened)
    assert again.dataset == first.dataset
    fewer = await begin_generated(tmp_path / "c", asked, settings, 2, opened=opened)
    assert len((fewer.path / "own.jsonl").read_text().splitlines()) == 2
    resumed = await finish(RunDirectory.open(tmp_path / "a"), opened=opened)
    assert resumed == metrics


async def test_new_questions_are_made_on_request_and_by_a_model_that_is_connected(
    tmp_path, settings, collection, opened, openai_server
) -> None:
    asked = plan("own", "bm25", collection=collection)
    await begin_generated(tmp_path / "a", asked, settings, 4, opened=opened)
    openai_server.replies = [Reply('{"question": "Where does a harbour end?"}')]
    llm = {"llm": {"api_base": openai_server.url, "model": openai_server.model}}
    connected = override(settings, llm)
    kept = await begin_generated(tmp_path / "b", asked, connected, 4, opened=opened)
    assert openai_server.requests == []
    fresh = await begin_generated(tmp_path / "c", asked, connected, 4, True, opened)
    assert len(openai_server.requests) == 4
    assert kept.dataset != fresh.dataset
    kinds = {
        json.loads(line)["kind"] for line in (fresh.path / "own.jsonl").read_text().splitlines()
    }
    assert kinds == {"llm"}


async def test_runs_of_others_are_scored_as_ours(tmp_path, settings, opened) -> None:
    dataset = f"beir:{beir(tmp_path / 'small')}"
    ours = begin(tmp_path / "ours", plan(dataset, "bm25", "dense"), settings)
    expected = await finish(ours, opened=opened)
    files = [tmp_path / "ours" / f"run.{name}.trec" for name in ("bm25", "dense")]
    theirs = begin_external(tmp_path / "theirs", RetrievalPlan(dataset, ()), settings, files)
    found = await finish(theirs, opened=opened, report=True)
    for name in ("bm25", "dense"):
        for metric in ("ndcg@10", "recall@100", "mrr@10", "judged@10", "ci95"):
            assert found["systems"][name][metric] == expected["systems"][name][metric]
        assert found["systems"][name]["p50_ms"] is None
    assert found["comparisons"] == expected["comparisons"]
    assert "dense" in (tmp_path / "theirs" / "report.md").read_text()


def test_files_of_one_name_or_of_no_run_are_refused(tmp_path, settings) -> None:
    dataset = f"beir:{beir(tmp_path / 'small')}"
    run = tmp_path / "a.trec"
    run.write_text("q0 Q0 d0 1 1.0 a\n")
    (tmp_path / "b").mkdir()
    other = shutil.copy(run, tmp_path / "b" / "run.a.trec")
    with pytest.raises(EvalError, match="two files are runs of 'a'"):
        begin_external(tmp_path / "run", RetrievalPlan(dataset, ()), settings, [run, other])
    run.write_text("nothing of the kind\n")
    with pytest.raises(EvalError, match="cannot be read"):
        begin_external(tmp_path / "run", RetrievalPlan(dataset, ()), settings, [run])
    assert not (tmp_path / "run").exists()


async def test_a_run_of_another_data_set_is_refused(tmp_path, settings, opened) -> None:
    dataset = f"beir:{beir(tmp_path / 'small')}"
    run = tmp_path / "a.trec"
    run.write_text("other Q0 d0 1 1.0 a\n")
    directory = begin_external(tmp_path / "run", RetrievalPlan(dataset, ()), settings, [run])
    with pytest.raises(EvalError, match=f"a found nothing for {len(WORDS)} of {len(WORDS)}"):
        await finish(directory, opened=opened)


@pytest.mark.parametrize(
    ("file", "published"),
    [("INF-X-Retriever", 0.67865), ("inf-retriever-v1-pro", 0.25505),
     ("bm25.bge-reasoner-rewritten", 0.2513)],
)  # fmt: skip
async def test_public_runs_get_their_published_numbers(
    tmp_path, settings, shared_data, file, published
) -> None:
    run = shared_data / "bright" / "runs" / f"{file}.theoremqa-theorems.json.gz"
    asked = RetrievalPlan("bright:theoremqa_theorems", (), data_dir=str(shared_data))
    directory = begin_external(tmp_path / "run", asked, settings, [run])
    metrics = await finish(directory)
    (system,) = metrics["systems"].values()
    assert system["ndcg@10"] == pytest.approx(published, abs=6e-6 if published > 0.253 else 6e-5)


def test_without_documents_the_hint_is_the_command_that_gets_them(
    tmp_path, settings, shared_data
) -> None:
    asked = plan("bright:biology", "bm25", data_dir=str(shared_data))
    with pytest.raises(EvalError, match="not at hand") as refused:
        begin(tmp_path / "run", asked, settings)
    assert "biology" in refused.value.hint


@pytest.mark.parametrize(
    ("system", "matters"),
    [("bm25", False), ("hybrid", False), ("dense@reasonir-8b", True), ("bm25+qwen", True)],
)
def test_a_task_matters_to_systems_that_have_words_for_it(
    tmp_path, settings, monkeypatch, system, matters
) -> None:
    corpus = beir(tmp_path / "small") / "corpus.jsonl"
    task = RetrievalDataset("bright:biology", corpus, {"q": "a"}, {"q": {"d0": 1}}, "r",
                            task="biology")  # fmt: skip
    monkeypatch.setattr(beginning, "load", lambda *_: task)
    licensed = override(settings, {"encoder": {"accept_license": True}})
    directory = begin(tmp_path / "run", plan("bright:biology", system), licensed)
    assert directory.plan["needs_settings"] is matters
    assert directory.plan["collection"] == "eval-bright-biology"
