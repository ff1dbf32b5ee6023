"""Plots as elements of a page."""

import re
import warnings
from itertools import pairwise

import pytest
from defusedxml import ElementTree

from eval.report import plots
from eval.report.plots import Estimate, Series

ODD = 'a$x_1$ <b> & "q" 𝔘中 \x00'


def drawings(name="p"):
    return [
        plots.estimates(
            [Estimate(ODD, 1, (0.5, 2), ODD, strong=True), Estimate("b", 2, None)],
            name=name, axis=ODD, reference=0.0,
        ),
        plots.bars([(ODD, 1.0, True), ("b", -1.0, False)], name=name, axis=ODD),
        plots.curves(
            [Series(ODD, [64, 128], [0.1, 0.2], [0.0, 0.1], [0.2, 0.3]),
             Series("b", [64, 128], [0.1, 0.2])],
            name=name, x_axis=ODD, y_axis=ODD, log2=True,
        ),
        plots.trade(
            {ODD: (1.0, 0.5), "b": (1.0, 0.5), "c": (9e15, 0.7)}, name=name, x_axis=ODD, y_axis=ODD
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("svg", drawings())
def test_text_stays_text_and_is_escaped(svg):
    root = ElementTree.fromstring(svg)
    words = "".join(root.itertext())
    assert 'a$x_1$ <b> & "q" 𝔘中 \ufffd' in words
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("svg", drawings())
def test_colours_and_fonts_are_the_pages(svg):
    assert not re.search(r"#[0-9a-f]{6}|font-family|rgb\(|<style", svg)
    assert "var(--" in svg


def test_the_same_data_give_the_same_characters_and_names_keep_ids_apart():
    assert drawings() == drawings()
    for one, other in zip(drawings("p"), drawings("q"), strict=True):
        ids = [set(re.findall(r'id="([^"]+)"', svg)) for svg in (one, other)]
        assert not ids[0] & ids[1]


def test_drawing_warns_of_nothing_and_leaves_matplotlib_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawings()
    assert dict(matplotlib.rcParams) == before


def test_boundless_intervals_are_not_drawn():
    rows = [Estimate("one", 0.5, (float("-inf"), float("inf")))]
    assert "inf" not in plots.estimates(rows, name="p", axis="x")


def test_names_of_near_points_do_not_overlap():
    points = {f"system {n}": (10.0, 0.5) for n in range(4)}
    svg = plots.trade(points, name="p", x_axis="x", y_axis="y")
    heights = sorted(float(y) for y in re.findall(r'y="([\d.]+)"[^>]*>system \d', svg))
    assert len(heights) == 4
    assert all(after - before > 8 for before, after in pairwise(heights))
