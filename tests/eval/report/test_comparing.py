"""Two runs side by side: what is compared, what is refused, what is said."""

import pytest

from eval.errors import EvalError
from eval.report import comparing, rendering
from eval.statistics.mcnemar import exact_mcnemar
from tests.eval.report.runs import choice_run, metrics, retrieval_run


def test_a_run_compared_with_itself_differs_in_nothing(tmp_path):
    a, b = choice_run(tmp_path / "a"), choice_run(tmp_path / "b")
    found = comparing.compare(a, b)
    assert [row.name for row in found.rows] == ["closed_book", "rag", "random"]
    assert all(row.delta == 0 and row.p == 1 for row in found.rows)
    assert not found.warnings
    assert not found.settings
    assert "no difference can be claimed" in rendering.markdown(comparing.report(found))


def test_answers_are_paired_by_question(tmp_path):
    a, b = choice_run(tmp_path / "a", gain=0.1), choice_run(tmp_path / "b", gain=0.5)
    rag = next(row for row in comparing.compare(a, b).rows if row.name == "rag")
    own = [metrics(run)["arms"]["rag"]["accuracy"] * 100 for run in (a, b)]
    assert [rag.a, rag.b] == pytest.approx(own)
    assert rag.delta == pytest.approx(own[1] - own[0])
    assert rag.worse == 0
    assert rag.p == exact_mcnemar(rag.better, 0)
    assert rag.ci95[0] > 0


def test_the_verdict_says_which_run_is_better(tmp_path):
    a, b = choice_run(tmp_path / "a", gain=0.6), choice_run(tmp_path / "b", gain=0.0)
    report = comparing.report(comparing.compare(a, b))
    assert report.verdict.sentence.startswith("rag: A is better than B by ")


def test_with_different_limits_only_common_questions_count_and_that_is_said(tmp_path):
    a = choice_run(tmp_path / "a", questions=120)
    b = choice_run(tmp_path / "b", questions=80)
    found = comparing.compare(a, b)
    assert {row.n for row in found.rows} == {80}
    assert found.warnings == [
        "closed_book, rag, random: compared over the 80 questions that both runs have; A has 120, "
        "B 80."
    ]
    assert ("plan.limit", "120", "80") in found.settings


def test_different_seeds_are_named(tmp_path):
    a, b = choice_run(tmp_path / "a"), choice_run(tmp_path / "b", seed=5)
    assert any("different seeds" in warning for warning in comparing.compare(a, b).warnings)


def test_main_arms_are_compared_even_where_they_have_different_names(tmp_path):
    a = choice_run(tmp_path / "a", arms=("closed_book", "rag"))
    b = choice_run(tmp_path / "b", arms=("closed_book", "rag:bm25"))
    assert [row.name for row in comparing.compare(a, b).rows] == ["rag → rag:bm25", "closed_book"]


def test_systems_are_compared_in_every_metric(tmp_path):
    queries = [str(number) for number in range(30)]
    a = retrieval_run(tmp_path / "a", {"bm25": (3, 0), "dense": (1,)}, queries=queries)
    b = retrieval_run(tmp_path / "b", {"bm25": (1,), "hybrid": (1, 2)}, queries=queries[:20])
    found = comparing.compare(a, b)
    assert [(row.name, row.metric) for row in found.rows] == [
        (name, metric)
        for metric in ("ndcg@10", "recall@100", "mrr@10")
        for name in ("dense → bm25", "bm25")
    ]
    own = found.rows[1]
    assert (own.n, own.better, own.worse, own.b) == (20, 20, 0, 1.0)
    assert own.p_holm >= own.p
    assert "bm25: B is better" not in comparing.report(found).verdict.sentence


def test_hostile_names_stay_text(tmp_path):
    a = choice_run(tmp_path / "<b>a", dataset="<script>x</script>")
    b = choice_run(tmp_path / "c", dataset="<script>x</script>")
    page = rendering.html(comparing.report(comparing.compare(a, b)))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_different_data_are_refused_with_the_reason(tmp_path):
    a = choice_run(tmp_path / "a", revision="r1")
    b = choice_run(tmp_path / "b", revision="r2", dataset="mmlu_pro")
    with pytest.raises(EvalError, match="different data: mmlu, revision r1, and mmlu_pro"):
        comparing.compare(a, b)


def test_different_kinds_are_refused(tmp_path):
    a, b = choice_run(tmp_path / "a"), retrieval_run(tmp_path / "b", {"bm25": (1,)})
    with pytest.raises(EvalError, match="evaluation of choice, the second of retrieval"):
        comparing.compare(a, b)


def test_runs_without_anything_in_common_are_refused(tmp_path):
    a = choice_run(tmp_path / "a", arms=("closed_book",))
    b = choice_run(tmp_path / "b", arms=("random",))
    with pytest.raises(EvalError, match="nothing in common"):
        comparing.compare(a, b)


def test_an_unfinished_run_is_refused(tmp_path):
    a, b = choice_run(tmp_path / "a"), choice_run(tmp_path / "b")
    (b.path / "metrics.json").unlink()
    with pytest.raises(EvalError, match="eval resume"):
        comparing.compare(a, b)
