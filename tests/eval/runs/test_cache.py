"""The cache gives back what was put in, and never stands in a run's way."""

import logging
import sqlite3

import pytest

from eval.errors import EvalError
from eval.runs.cache import ResponseCache, key_of


def test_an_answer_comes_back_before_and_after_it_is_written(tmp_path):
    answer = {"letter": "A", "text": "é \ud800", "milliseconds": 1.5}
    with ResponseCache(tmp_path / "a" / "cache.sqlite") as cache:
        assert cache.get("k") is None
        cache.put("k", answer)
        assert cache.get("k") == answer
    with ResponseCache(tmp_path / "a" / "cache.sqlite") as cache:
        assert cache.get("k") == answer
        assert cache.get("other") is None


def test_the_newest_answer_counts(tmp_path):
    for number in range(3):
        with ResponseCache(tmp_path / "cache.sqlite") as cache:
            cache.put("k", {"n": number})
    with ResponseCache(tmp_path / "cache.sqlite") as cache:
        assert cache.get("k") == {"n": 2}


def test_two_runs_share_a_cache(tmp_path):
    with ResponseCache(tmp_path / "cache.sqlite") as one:
        with ResponseCache(tmp_path / "cache.sqlite") as other:
            one.put("a", {"n": 1})
            other.put("b", {"n": 2})
        assert one.get("b") == {"n": 2}


def test_a_file_of_others_is_refused(tmp_path):
    (tmp_path / "cache.sqlite").write_text("no data base at all, but text" * 100)
    with pytest.raises(EvalError, match=r"cannot be used.*--no-cache"):
        ResponseCache(tmp_path / "cache.sqlite")


def test_a_cache_that_breaks_is_told_of_and_missed_by_nobody(tmp_path, caplog):
    with ResponseCache(tmp_path / "cache.sqlite") as cache:
        other = sqlite3.connect(tmp_path / "cache.sqlite")
        other.execute("DROP TABLE answers")
        other.close()
        with caplog.at_level(logging.WARNING):
            assert cache.get("k") is None
            cache.put("k", {"n": 1})
            cache.close()
    assert "could not be read" in caplog.text
    assert "could not be written" in caplog.text


def test_a_key_depends_on_every_part_and_on_no_order():
    parts = {"model": "m", "passages": ["a", "b"], "repeat": 0}
    assert key_of(parts) == key_of(dict(reversed(parts.items())))
    others = [
        {**parts, "model": "n"},
        {**parts, "passages": ["b", "a"]},
        {**parts, "passages": ["ab"]},
        {**parts, "repeat": 1},
        {**parts, "temperature": 0.1},
    ]
    assert len({key_of(p) for p in [parts, *others]}) == len(others) + 1
