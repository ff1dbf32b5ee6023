"""benchmarks/scale_cost.py: its arithmetic by hand, and its table in docs/scaling.md."""

import pytest

from benchmarks.scale_cost import HEAD, PASSAGES, Assumptions, need, rows
from tests.deployment.compose import ROOT


def test_ten_million_passages_by_hand():
    given = Assumptions(dimension=1000, tokens=180, tokens_a_second=1000, gpus=5, replicas=2)
    one = need(10e6, "none", given)
    # 2,000 bytes of vector, 32 links of 4 and 60 terms of 8 are 2,608
    assert one.memory_gb == pytest.approx(52.16)
    assert one.disk_gb == pytest.approx(52.16 + 2 * 15)
    assert (one.shards, one.nodes) == (1, 2)
    assert one.gpu_hours == pytest.approx(500)
    assert one.days == pytest.approx(500 / 5 / 24)
    assert one.encoding == pytest.approx(1500)
    assert one.month == pytest.approx(2 * 1500 + 8.216)


def test_several_shards_hold_the_numbers_of_the_terms_too():
    given = Assumptions(dimension=1000, replicas=1)
    one = need(1e9, "int8", given)
    assert one.memory_gb == pytest.approx(1000 + 128 + 480 + 480)
    assert one.shards == 12  # of 179.2 GB
    assert one.disk_gb == pytest.approx(one.memory_gb + 2000 + 1500)


def test_the_documentation_has_the_table():
    text = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    for row in [list(HEAD), *rows(Assumptions(), PASSAGES)]:
        assert f"| {' | '.join(row)} |" in text
