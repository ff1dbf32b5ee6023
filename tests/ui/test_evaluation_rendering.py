import pytest

from ui.evaluation_rendering import duration, finished, frame, under_way
from ui.evaluation_runs import EvaluationRun

HOSTILE = "<img src=x onerror=alert(1)>'\"&"
ESCAPED = "&lt;img src=x onerror=alert(1)&gt;&#x27;&quot;&amp;"


def run(state="done", **more) -> EvaluationRun:
    return EvaluationRun(**{
        "name": "a-run", "kind": "choice", "dataset": "mmlu", "state": state, "begun": 0.0, **more,
    })  # fmt: skip


def test_a_run_that_goes_on_shows_how_far_it_is_and_can_be_stopped():
    told = {
        "done": 30, "total": 120, "eta": 200.0, "tokens_per_second": 12.3, "unparsed": 2,
        "accuracy": {"rag": 0.5}, "message": "",
    }  # fmt: skip
    html = under_way([run("running", progress=told), run()])
    assert "width:25.0%" in html
    assert "30 of 120 · 12 tokens/s · 3 min left · 2 unparsed" in html
    assert '<dt title="rag">rag</dt>' in html
    assert "50.0%" in html
    assert 'data-act="stop" data-run="a-run"' in html
    assert html.count("<section") == 1


def test_a_run_that_has_only_begun_says_so():
    assert "Getting ready" in under_way([run("running")])
    assert "taking in" in under_way([run("running", progress={"message": "taking in x"})])


def test_a_finished_run_shows_its_numbers_and_its_report():
    numbers = {"bm25": 0.31}
    html = finished(
        [run(measure="ndcg@10", headline=numbers, has_report=True, verdict="bm25 finds <best>")]
    )
    assert html.index("bm25 finds &lt;best&gt;.") < html.index("0.310")
    assert "0.310" in html
    assert "nDCG@10" in html
    assert 'data-act="report"' in html
    assert "resume" not in html


@pytest.mark.parametrize("state", ["failed", "interrupted"])
def test_a_run_that_did_not_end_can_be_resumed(state):
    told = {"done": 3, "total": 9}
    html = finished([run(state, message="no such file", progress=told)])
    assert 'data-act="resume"' in html
    assert 'data-act="report"' not in html
    assert state in html
    assert "no such file" in html
    assert ("3 of 9 done" in html) == (state == "interrupted")


def test_many_systems_are_cut_short():
    scores = {f"system-{n}": n / 10 for n in range(10)}
    html = finished([run(measure="ndcg@10", headline=scores)])
    assert html.count("<dt") == 6
    assert "and 4 more in the report" in html


def test_there_may_be_no_runs():
    assert "No runs yet" in finished([run("running")])
    assert under_way([run()]) == ""


def test_nothing_that_a_file_says_becomes_html():
    told = {"done": HOSTILE, "total": [], "eta": None, "accuracy": {HOSTILE: HOSTILE},
            "message": HOSTILE}  # fmt: skip
    hostile = run("running", dataset=HOSTILE, kind=HOSTILE, progress=told)
    failed = run("failed", dataset=HOSTILE, message=HOSTILE, measure=HOSTILE, headline=told)
    html = under_way([hostile]) + finished([failed]) + frame(HOSTILE)
    assert "<img" not in html
    assert ESCAPED in html


def test_a_report_is_closed_in():
    html = frame("a-run")
    assert '<iframe sandbox data-report="/evaluations/a-run/report.html"' in html
    assert "allow" not in html


@pytest.mark.parametrize(
    ("seconds", "said"), [(3.2, "3 s"), (89, "89 s"), (100, "2 min"), (7000, "1.9 h")]
)
def test_durations_are_said_as_a_person_would(seconds, said):
    assert duration(seconds) == said
