"""A whole retrieval run, over the real application on scratch storage."""

import csv
import json
from dataclasses import replace

import pytest

from eval.errors import EvalError
from eval.retrieval import beginning, task, trec
from eval.retrieval.beginning import begin
from eval.runs.directory import RunDirectory
from eval.runs.runner import TooManyErrors
from rag_app.assembly import application as assembly
from rag_app.service import QueryOptions
from rag_app.settings import override
from tests.eval.retrieval.support import NAMES, WORDS, beir, finish, openstax, plan
from tests.openai_server import Reply
from tests.rag_app.building import install
from tests.rag_app.served import serving
from tests.rag_app.support import twin

TIMES = ("p50_ms", "p95_ms")


@pytest.fixture
def opened(encoder):
    """Opens the application in this process, with the encoder that needs no weights."""
    return lambda settings: assembly.open_application(settings)[0]


@pytest.fixture
def dataset(tmp_path) -> str:
    return f"beir:{beir(tmp_path / 'small')}"


def without_times(metrics):
    systems = {
        name: {key: value for key, value in system.items() if key not in TIMES}
        for name, system in metrics["systems"].items()
    }
    return {**metrics, "systems": systems}


async def test_a_run_leaves_all_that_can_be_made_of_it(tmp_path, settings, dataset, opened) -> None:
    directory = begin(tmp_path / "run", plan(dataset), settings)
    metrics = await finish(directory, opened, command=["rag-app"], report=True)
    assert metrics == json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["dataset"], metrics["queries"]) == (dataset, len(WORDS))
    assert [*metrics["systems"]] == NAMES
    assert metrics["systems"]["bm25"]["ndcg@10"] == 1
    assert metrics["systems"]["bm25"]["query_tokens"] == 0
    dense = metrics["systems"]["dense"]
    assert dense["query_tokens"] > 0
    assert dense["flops_per_query"] > 0
    assert dense["p50_ms"] > 0
    assert len(metrics["comparisons"]) == 3
    run = trec.read(tmp_path / "run" / "run.dense.trec")
    assert len(run) == len(WORDS)
    assert all(len(hits) == 48 for hits in run.values())
    table = (tmp_path / "run" / "per_query.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    assert len(rows) == 3 * len(WORDS)
    assert {row["ndcg@10"] for row in rows if row["system"] == "bm25"} == {"1.0"}
    report = (tmp_path / "run" / "report.html").read_text()
    assert all(name in report for name in NAMES)
    progress = json.loads((tmp_path / "run" / "progress.json").read_text())
    assert (progress["state"], progress["done"]) == ("done", 24)
    assert [*json.loads((tmp_path / "run" / "env.json").read_text())["indexes"]] == ["eval-small"]


async def test_a_run_that_was_killed_ends_as_one_that_was_not(
    tmp_path, settings, dataset, opened
) -> None:
    whole = begin(tmp_path / "whole", plan(dataset), settings)
    expected = without_times(await finish(whole, opened=opened))
    lines = (tmp_path / "whole" / "samples.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (0, 1, 13, 23):
        path = tmp_path / f"killed{kept}"
        begin(path, plan(dataset), settings)
        (path / "samples.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:20])
        found = await finish(RunDirectory.open(path), opened=opened)
        assert without_times(found) == expected
        assert (path / "samples.jsonl").read_bytes().startswith(b"".join(lines[:kept]))


async def test_what_is_ended_is_not_searched_again(tmp_path, settings, dataset, opened) -> None:
    directory = begin(tmp_path / "run", plan(dataset, "bm25"), settings)
    first = await finish(directory, opened=opened)
    before = (tmp_path / "run" / "samples.jsonl").read_bytes()
    assert await finish(directory, opened=opened) == first
    assert (tmp_path / "run" / "samples.jsonl").read_bytes() == before
    with pytest.raises(EvalError, match="holds a run already"):
        begin(tmp_path / "run", plan(dataset, "bm25"), settings)


async def test_passages_count_as_the_module_they_are_of(tmp_path, settings, opened) -> None:
    asked = plan("openstax", "bm25", data_dir=str(openstax(tmp_path / "data")))
    directory = begin(tmp_path / "run", asked, settings)
    metrics = await finish(directory, opened=opened)
    assert metrics["systems"]["bm25"]["ndcg@10"] == 1
    run = trec.read(tmp_path / "run" / "run.bm25.trec")
    assert {document for hits in run.values() for document in hits} <= {
        f"b:m{n}" for n in range(len(WORDS))
    }
    assert json.loads((tmp_path / "run" / "run.json").read_text())["plan"]["collection"] == (
        "eval-openstax"
    )


async def test_where_passages_share_modules_it_is_searched_deeper_below_what_was_found(
    tmp_path, settings, opened
) -> None:
    asked = plan("openstax", "dense", "hybrid", data_dir=str(openstax(tmp_path / "data")), depth=6)
    directory = begin(tmp_path / "run", asked, settings)
    await finish(directory, opened=opened)
    service = opened(settings)
    for name in ("dense", "hybrid"):
        run = trec.read(tmp_path / "run" / f"run.{name}.trec")
        for n, word in enumerate(WORDS):
            options = QueryOptions(retriever=name, top_k=6)
            found = await service.search("eval-openstax", f"what of the {word}", options)
            modules = dict.fromkeys(str(h.record_id).rpartition(":")[0] for h in found.hits)
            ranked = [*run[f"b:m{n}:q0"]]
            assert len(modules) < 6 == len(ranked) or len(modules) == 6
            assert ranked[: len(modules)] == [*modules]
    await service.close()


async def test_excluded_documents_are_in_no_ranking(
    tmp_path, settings, dataset, opened, monkeypatch
) -> None:
    found = beginning.load(plan(dataset, "bm25"), settings)
    without = replace(found, excluded={"q0": frozenset({"d0"})})
    for module in (beginning, task):
        monkeypatch.setattr(module, "load", lambda *_: without)
    directory = begin(tmp_path / "run", plan(dataset, "bm25"), settings)
    metrics = await finish(directory, opened=opened)
    run = trec.read(tmp_path / "run" / "run.bm25.trec")
    assert "d0" not in run["q0"]
    assert "d0" in run["q1"]
    assert metrics["systems"]["bm25"]["ndcg@10"] == pytest.approx(7 / 8)


async def test_a_limit_asks_a_part_and_says_so(tmp_path, settings, dataset, opened) -> None:
    directory = begin(tmp_path / "run", plan(dataset, "bm25", limit=3), settings)
    metrics = await finish(directory, opened=opened)
    assert (metrics["queries"], metrics["queries_in_set"]) == (3, len(WORDS))


async def test_queries_are_cut_for_the_curve_over_their_length(
    tmp_path, settings, dataset, opened
) -> None:
    asked = plan(dataset, "bm25", "dense", lengths=(3, 50))
    directory = begin(tmp_path / "run", asked, settings)
    metrics = await finish(directory, opened=opened)
    assert [*metrics["systems"]] == ["bm25", "dense"]
    curve = metrics["lengths"]["dense"]
    assert curve["3"]["query_tokens"] < curve["50"]["query_tokens"]
    assert curve["50"]["ndcg@10"] == metrics["systems"]["dense"]["ndcg@10"]
    assert (tmp_path / "run" / "run.dense-len=3.trec").is_file()


async def test_rewrites_are_asked_for_in_every_length(
    tmp_path, settings, dataset, opened, openai_server
) -> None:
    openai_server.respond = lambda body: Reply("heron " * min(body["max_tokens"] // 16, 100))
    llm = {"llm": {"api_base": openai_server.url, "model": openai_server.model}}
    asked = plan(dataset, "bm25+rewrite", lengths=(64, 256), limit=2)
    directory = begin(tmp_path / "run", asked, override(settings, llm))
    metrics = await finish(directory, opened=opened)
    assert [*metrics["lengths"]["bm25+rewrite"]] == ["256", "64"]
    assert {body["max_tokens"] for body in openai_server.requests} == {64, 256, 512}


async def test_a_rewriter_that_fails_is_no_result(
    tmp_path, settings, dataset, opened, openai_server
) -> None:
    openai_server.replies = [Reply(status=404)]
    llm = {"llm": {"api_base": openai_server.url, "model": openai_server.model}}
    asked = plan(dataset, "bm25+rewrite")
    directory = begin(tmp_path / "run", asked, override(settings, llm))
    with pytest.raises(TooManyErrors, match="was not rewritten"):
        await finish(directory, opened=opened)
    assert not (tmp_path / "run" / "metrics.json").exists()
    openai_server.replies = [Reply("a walrus in the tundra")]
    metrics = await finish(directory, opened=opened)
    assert metrics["systems"]["bm25+rewrite"]["errors"] == 0


async def test_a_system_that_finds_nothing_for_most_queries_fails_loudly(
    tmp_path, settings, dataset, opened
) -> None:
    queries = tmp_path / "small" / "queries.jsonl"
    lost = queries.read_text().replace("harbour and the lantern", "").replace("heron", "xylem")
    for word in WORDS[1:5]:
        lost = lost.replace(word, "xylem")
    queries.write_text(lost)
    directory = begin(tmp_path / "run", plan(dataset, "bm25"), settings)
    with pytest.raises(EvalError, match="bm25 found nothing for 5 of 8 queries"):
        await finish(directory, opened=opened)
    assert json.loads((tmp_path / "run" / "progress.json").read_text())["state"] == "failed"


async def test_a_collection_with_other_documents_is_refused(
    tmp_path, settings, dataset, opened
) -> None:
    (tmp_path / "mine.txt").write_text("My own words.")
    application = opened(settings)
    await application.ingest("eval-small", [tmp_path / "mine.txt"])
    await application.close()
    directory = begin(tmp_path / "run", plan(dataset, "bm25"), settings)
    with pytest.raises(EvalError, match=r"mine\.txt is no part of it"):
        await finish(directory, opened=opened)


async def test_a_data_set_that_changed_is_refused(tmp_path, settings, dataset, opened) -> None:
    directory = begin(tmp_path / "run", plan(dataset, "bm25"), settings)
    qrels = tmp_path / "small" / "qrels" / "test.tsv"
    qrels.write_text(qrels.read_text().replace("q0\td0\t1\n", ""))
    with pytest.raises(EvalError, match="has changed since the run"):
        await finish(directory, opened=opened)


async def test_encoders_are_compared_and_an_index_more_does_not_matter_later(
    tmp_path, settings, dataset, monkeypatch
) -> None:
    install({name: twin(name) for name in ("near", "far", "third")}, monkeypatch.setattr)
    near = override(settings, {"encoder": {"name": "near"}})

    def opened(chosen):
        return assembly.open_application(chosen)[0]

    asked = plan(dataset, "dense", "dense@far")
    directory = begin(tmp_path / "run", asked, near)
    metrics = await finish(directory, opened=opened)
    known = json.loads((tmp_path / "run" / "env.json").read_text())["indexes"]["eval-small"]
    assert {index["encoder"] for index in known} == {"near", "far"}
    service = opened(near)
    await service.build_index("eval-small", "third")
    await service.close()
    assert await finish(directory, opened=opened) == metrics


async def test_an_application_that_runs_already_is_used_where_it_will_do(
    tmp_path, settings, dataset, opened
) -> None:
    here = begin(tmp_path / "here", plan(dataset), settings)
    expected = await finish(here, opened=opened)
    async with serving(opened(settings)) as served:

        def there(_):
            return served.remote()

        directory = begin(tmp_path / "there", plan(dataset), settings)
        found = await finish(directory, opened=there)
        assert without_times(found) == without_times(expected)
        asked = plan(dataset, "bm25+rewrite", lengths=(64,))
        other = begin(tmp_path / "other", asked, settings)
        with pytest.raises(EvalError, match="rewrites of several lengths"):
            await finish(other, opened=there)
