"""Real tasks of mteb, made of a few words here, over the real application on scratch storage."""

import warnings
from itertools import pairwise

import numpy as np
import pytest

from eval.errors import EvalError
from eval.retrieval import metrics
from eval.retrieval.mteb_model import MtebModel, _falling, _text
from rag_app.application import Application
from rag_app.assembly import application as assembly
from rag_app.settings import Settings, override
from rag_app.systems.grammar import UnknownSystem, parse
from tests.openai_server import Reply
from tests.rag_app.building import install
from tests.rag_app.support import twin

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import datasets
    import mteb
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

CORPUS = {
    "d1": ("Harbours", "A lantern hangs over the harbour and guides the boats at night."),
    "d2": ("", "Turbines turn slowly when the valley has no wind, and the grid is fed by water."),
    "d3": ("Orchards", "The orchard yields apples, and a willow stands beside its gate."),
    "d4": ("", "Granite is quarried above the valley; the lantern of the quarry is copper."),
    "d5": ("", "A lantern, a lantern: the harbour has a second lantern for its second pier."),
}
QUERIES = {
    "q1": "Where does the lantern of the harbour hang?",
    "q2": "What turns in the valley?",
    "q3": "Who sells apples?",
    "q4": "nothing of that zzz",
}
QRELS = {"q1": {"d1": 2, "d5": 1}, "q2": {"d2": 1}, "q3": {"d3": 1, "d1": 0}, "q4": {"d4": 1}}


class Tiny(AbsTaskRetrieval):
    metadata = TaskMetadata(
        name="Tiny",
        description="A few words.",
        reference=None,
        dataset={"path": "none/none", "revision": "1"},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation=None,
    )
    queries_of = QUERIES

    def load_data(self, **_) -> None:
        rows = [{"id": i, "title": title, "text": text} for i, (title, text) in CORPUS.items()]
        asked = [{"id": i, "text": text} for i, text in self.queries_of.items()]
        self.dataset = {
            "default": {
                "test": {
                    "corpus": datasets.Dataset.from_list(rows),
                    "queries": datasets.Dataset.from_list(asked),
                    "relevant_docs": QRELS,
                    "top_ranked": None,
                }
            }
        }
        self.data_loaded = True


def open_here(settings: Settings) -> Application:
    """The application in this process."""
    return assembly.open_application(settings)[0]


@pytest.fixture
def opened(encoder):
    """Opens the application with the encoder that needs no weights."""
    return open_here


class Watched(MtebModel):
    """Keeps what it has found."""

    def search(self, queries, **more):
        self.found = super().search(queries, **more)
        return self.found


@pytest.mark.filterwarnings("ignore")  # mteb's own
@pytest.mark.parametrize("system", ["bm25", "dense", "hybrid"])
def test_mteb_scores_a_run_as_we_do(settings, opened, system) -> None:
    with Watched(settings, system, opened=opened) as model:
        result = mteb.evaluate(model, Tiny(), cache=None, show_progress_bar=False)
    [scores] = result.task_results[0].scores["test"]
    ndcg = metrics.ndcg(model.found, QRELS, 10)
    assert scores["ndcg_at_10"] == pytest.approx(metrics.mean(ndcg), abs=1e-5)
    assert scores["ndcg_at_10"] > 0.5
    recall = metrics.recall(model.found, QRELS, 100)
    assert scores["recall_at_100"] == pytest.approx(metrics.mean(recall), abs=1e-5)
    assert result.model_name == f"rag-app/{system}"


@pytest.mark.filterwarnings("ignore")
async def test_what_mteb_is_given_is_what_the_application_finds(settings, opened) -> None:
    with Watched(settings, "hybrid", opened=opened, keep=True) as model:
        mteb.evaluate(model, Tiny(), cache=None, show_progress_bar=False)
        [name] = model._collections
    application = opened(settings)
    for query, text in QUERIES.items():
        found = await application.search(name, text, parse("hybrid").options)
        assert [*model.found[query]] == [hit.record_id for hit in found.hits]
        scores = [*model.found[query].values()]
        assert all(later < earlier for earlier, later in pairwise(scores))
    await application.close()


@pytest.mark.filterwarnings("ignore")
async def test_scratch_collections_go_and_those_of_people_stay(settings, opened, tmp_path) -> None:
    application = opened(settings)
    (tmp_path / "a.txt").write_text("Some words.")
    await application.ingest("mine", [tmp_path / "a.txt"])
    await application.close()
    with MtebModel(settings, "bm25", opened=opened) as model:
        mteb.evaluate(model, Tiny(), cache=None, show_progress_bar=False)
    application = opened(settings)
    assert [found.name for found in await application.collections()] == ["mine"]
    await application.close()


@pytest.mark.filterwarnings("ignore")
def test_a_reranker_that_fails_is_no_result(settings, opened, openai_server) -> None:
    openai_server.replies = [Reply(status=500)]
    chosen = {
        "llm": {"api_base": openai_server.url, "model": openai_server.model},
        "rerank": {"deadline": 2.0},
    }
    with MtebModel(override(settings, chosen), "bm25+qwen", opened=opened) as model:
        with pytest.raises(EvalError, match="did not do what its name says"):
            mteb.evaluate(model, Tiny(), cache=None, show_progress_bar=False)


@pytest.mark.filterwarnings("ignore")
def test_a_kept_collection_serves_a_system_with_another_encoder(settings, monkeypatch) -> None:
    install({"near": twin("near"), "far": twin("far")}, monkeypatch.setattr)
    settings = override(settings, {"encoder": {"name": "near"}})
    for system in ("dense", "dense@far"):
        with Watched(settings, system, opened=open_here, keep=True) as model:
            mteb.evaluate(model, Tiny(), cache=None, show_progress_bar=False)
        assert model.found["q1"]


def test_results_are_kept_apart_by_what_they_depend_on(settings) -> None:
    def revision(system: str, **changed) -> str:
        meta = MtebModel(override(settings, changed), system).mteb_model_meta
        assert meta.name == f"rag-app/{system}"
        return meta.revision

    first = revision("hybrid")
    assert first == revision("hybrid", server={"password": "secret"}, collection="other")
    assert first != revision("dense")
    assert first != revision("hybrid", retrieval={"weight": 0.1})
    assert first != revision("hybrid", chunking={"tokens": 100})


def test_what_cannot_be_searched_is_refused(settings, opened) -> None:
    with pytest.raises(UnknownSystem, match="retriever 'nothing' is unknown"):
        MtebModel(settings, "nothing")
    with MtebModel(settings, "bm25", opened=opened) as model:
        with pytest.raises(EvalError, match="reranking task"):
            model.search([], top_k=10, top_ranked={"q1": ["d1"]})
        with pytest.raises(EvalError, match="conversation"):
            model.search([{"id": "q", "text": [{"role": "user", "content": "a"}]}], top_k=10)


def test_an_instruction_is_put_behind_the_query() -> None:
    assert _text({"text": "a", "instruction": "b"}) == "a b"
    assert _text({"text": "a", "instruction": ""}) == "a"


def test_equal_and_rising_scores_fall_by_as_little_as_there_is() -> None:
    scores = _falling([("a", 0.5), ("b", 0.5), ("c", 0.7), ("d", 0.5 + 1e-12), ("e", -3.0)])
    values = np.array([*scores.values()], np.float32)
    assert np.all(np.diff(values) < 0)
    assert np.allclose(values, [0.5, 0.5, 0.5, 0.5, -3.0])
    assert [*scores] == ["a", "b", "c", "d", "e"]
