import json

import pytest

from eval.report.adaptation import report, write

pytest.importorskip("matplotlib", reason="optional: needs the extra `eval`")
HOSTILE = "<img src=x onerror=alert(1)>"
DELTA = {"points": 25.0, "ci95": [5.0, 45.0], "p": 0.01, "wins": 1, "ties": 1, "losses": 0}


def document(**changed):
    return {
        "name": "mine", "collection": "island", "questions": "given", "test": 2,
        "train": {"examples": 40},
        "before": {"encoder": "minilm", "ndcg@10": 0.5},
        "after": {"encoder": "mine", "ndcg@10": 0.75},
        "delta": DELTA,
        "guard": None, "better": True, "switched": False,
        "lost": [{"question": HOSTILE, "before": 1.0, "after": 0.5}],
        **changed,
    }  # fmt: skip


def test_the_files_say_the_same_and_hold_no_html_of_a_question(tmp_path):
    rows = [
        {"question": HOSTILE, "before": 1.0, "after": 0.5},
        {"question": "b", "before": 0.0, "after": 1.0},
    ]
    losses = [{"step": step, "loss": 1 / step, "rate": 0.1} for step in range(1, 26)]
    write(tmp_path, document(), rows, losses)
    systems = json.loads((tmp_path / "metrics.json").read_text())["systems"]
    assert systems == {"minilm": {"ndcg@10": 0.5}, "mine": {"ndcg@10": 0.75}}
    assert len(json.loads((tmp_path / "adapt.json").read_text())["losses"]) == 25
    samples = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert samples[1] == {"question": "b", "before": 0.0, "after": 1.0}
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert "0.5000 → 0.7500: +25.00 points" in text
        assert HOSTILE not in text
    assert "<svg" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "rag-app indexes use mine -c island"),
        ({"switched": True}, "rag-app indexes use minilm -c island"),
        ({"better": False}, "not better beyond chance"),
        ({"better": False, "delta": {**DELTA, "points": -11.0, "ci95": [-19.0, -5.0]}}, "worse"),
        ({"guard": {"points": -2.0, "p": 0.03}}, "−2.00 points"),
    ],
)
def test_it_says_what_came_of_it_and_how_to_go_back(changed, said):
    verdict = report(document(**changed), ()).verdict
    assert said in " ".join([verdict.sentence, *verdict.reasons])
