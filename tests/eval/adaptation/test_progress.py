import json

import pytest

from eval.adaptation.progress import kept_progress
from rag_app.commands.common import Interrupted


def test_it_says_what_is_done_and_how_it_ended(tmp_path):
    file = tmp_path / "progress.json"
    with kept_progress(tmp_path) as report:
        assert json.loads(file.read_text())["state"] == "running"
        report("training", 1, 9)
        report("training", 2, 9)  # too soon to be written
        found = json.loads(file.read_text())
        assert (found["message"], found["done"], found["total"]) == ("training", 1, 9)
        report("building")
        assert json.loads(file.read_text())["message"] == "building"
    assert json.loads(file.read_text())["state"] == "done"


@pytest.mark.parametrize(
    ("error", "message"), [(Interrupted(), "interrupted"), (ValueError("no room"), "no room")]
)
def test_an_end_before_the_end_is_told(tmp_path, error, message):
    with pytest.raises(type(error)), kept_progress(tmp_path):
        raise error
    found = json.loads((tmp_path / "progress.json").read_text())
    assert (found["state"], found["message"]) == ("failed", message)
