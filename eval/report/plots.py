"""Plots as SVG elements that belong to the page they stand in.

matplotlib draws them; afterwards every colour is a variable of the page's style sheet, so that one
drawing suits light, dark and paper, and all text is the page's own, so that it can be read aloud,
searched and copied. The same data always gives the same characters.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eval.errors import EvalError
from eval.report.wording import harmless, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 6.4
"""Inches of every plot; 72 of its units to the inch."""
_INK, _SOFT, _LINE, _PAPER, _ACCENT = "#010101", "#010102", "#010103", "#010104", "#010105"
_SERIES = tuple(f"#01020{number}" for number in range(1, 7))
_MARKERS = ("o", "s", "D", "^", "v", "P")
_COLOURS = {
    _INK: "currentColor",
    _SOFT: "var(--soft)",
    _LINE: "var(--line)",
    _PAPER: "var(--paper)",
    _ACCENT: "var(--accent)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(_SERIES, start=1)},
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rag-app",
    "text.parse_math": False,
    "font.size": 9,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _SOFT,
    "ytick.labelcolor": _INK,
    "text.color": _INK,
}
_LETTER, _GAP = 7.5, 11.0
"""Width of a letter, and space between a dot and its name, in pixels."""
_UNSEEN = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A named value with its interval; a ``strong`` one stands out.

    Attributes:
        interval: its ends; None or boundless ones are not drawn.
        strong: whether it is drawn full and in the accent.
    """

    name: str
    value: float
    interval: Sequence[float] | None
    label: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """A named curve; `low` and `high` are a band around it, empty for none."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def require_matplotlib() -> None:
    """See that plots can be drawn. Raises EvalError: matplotlib is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise EvalError(
            "reports cannot be drawn",
            cause="matplotlib is not installed",
            hint="pip install 'rag-app[eval]'",
        ) from error


def estimates(
    rows: Sequence[Estimate], *, name: str, axis: str, reference: float | None = None
) -> str:
    """Dots with whiskers, one row each, the first on top.

    Args:
        name: unlike that of every other plot of the page.
        reference: where to draw a line to compare with.
    """
    height = 0.55 + (0.34 if len(rows) <= 12 else 0.21) * len(rows)
    with _drawing(name, height) as (axes, done):
        size = 6 if len(rows) <= 12 else 4.5
        if reference is not None:
            axes.axvline(reference, color=_SOFT, linewidth=0.8)
        for place, row in enumerate(rows):
            colour = _ACCENT if row.strong else _INK
            low, high = _ends(row)
            axes.hlines(place, low, high, color=colour, linewidth=1.4)
            axes.plot(
                [row.value], [place], "o", markersize=size, color=colour,
                markerfacecolor=colour if row.strong else _PAPER, markeredgewidth=1.3,
            )  # fmt: skip
            if row.label:
                axes.annotate(
                    row.label, (high, place), xytext=(6, 0), textcoords="offset points",
                    va="center", color=_INK, fontsize=8.5, annotation_clip=False,
                )  # fmt: skip
        axes.set_yticks(range(len(rows)), [_short(row.name) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.locator_params(axis="x", nbins=6)
        axes.margins(x=0.14 if any(row.label for row in rows) else 0.05)
        axes.set_xlabel(axis)
        return done()


def bars(rows: Sequence[tuple[str, float, bool]], *, name: str, axis: str) -> str:
    """Bars from zero, one row each, the first on top.

    Args:
        rows: name, value and whether the bar is full, at least one.
    """
    few = len(rows) <= 12
    with _drawing(name, 0.55 + (0.3 if few else 0.185) * len(rows)) as (axes, done):
        axes.axvline(0, color=_SOFT, linewidth=0.8)
        for place, (_, value, full) in enumerate(rows):
            axes.barh(
                place, value, height=0.62, edgecolor=_ACCENT, linewidth=0.9,
                facecolor=_ACCENT if full else _PAPER,
            )  # fmt: skip
        names = [_short(row[0]) for row in rows]
        axes.set_yticks(range(len(rows)), names, fontsize=9 if few else 7.5)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlabel(axis)
        return done()


def curves(series: Sequence[Series], *, name: str, x_axis: str, y_axis: str, log2: bool) -> str:
    """Curves over one axis, each named where it ends.

    Args:
        log2: whether x doubles from tick to tick.
    """
    with _drawing(name, 3.2) as (axes, done):
        for number, one in enumerate(series):
            colour = _SERIES[number % len(_SERIES)]
            if one.low:
                axes.fill_between(one.x, one.low, one.high, color=colour, alpha=0.12, linewidth=0)
            marker = _MARKERS[number % len(_MARKERS)]
            axes.plot(one.x, one.y, marker=marker, markersize=4.5, linewidth=1.6, color=colour)
        ticks = sorted({x for one in series for x in one.x})
        if log2:
            axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.tick_params(axis="y", labelcolor=_SOFT)
        axes.grid(axis="y")
        axes.set_xlabel(x_axis)
        axes.set_ylabel(y_axis)
        ends = [(one.x[-1], one.y[-1]) for one in series]
        _name_points(axes, [one.name for one in series], ends, _SERIES, False)
        return done()


def trade(points: Mapping[str, tuple[float, float]], *, name: str, x_axis: str, y_axis: str) -> str:
    """What costs how much and gives how much: named dots, the costs on a logarithmic axis.

    Args:
        points: name -> (cost above 0, quality), at least one.
    """
    with _drawing(name, 3.2) as (axes, done):
        for x, y in points.values():
            axes.plot([x], [y], "o", markersize=6, color=_ACCENT)
        axes.set_xscale("log")
        axes.margins(x=0.25, y=0.15)
        axes.minorticks_off()
        axes.tick_params(axis="y", labelcolor=_SOFT)
        axes.grid()
        axes.set_xlabel(x_axis)
        axes.set_ylabel(y_axis)
        _plain_decades(axes, [x for x, _ in points.values()])
        _name_points(axes, list(points), list(points.values()), (_INK,), True)
        return done()


def _ends(row: Estimate) -> tuple[float, float]:
    low, high = row.interval or (row.value, row.value)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (row.value, row.value)


def _plain_decades(axes: "Axes", values: Sequence[float]) -> None:
    """Ticks at 1, 2 and 5 times the powers of ten near the values, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    narrow = max(values) / min(values) < 300
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _tick(value: float) -> str:
    for power, sign in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= power:
            return f"{value / power:g}\u00a0{sign}"
    return f"{value:g}"


def _name_points(
    axes: "Axes",
    names: Sequence[str],
    points: Sequence[tuple[float, float]],
    colours: Sequence[str],
    inwards: bool,
) -> None:
    """Write each name beside its point, moved up or down where two would overlap."""
    axes.autoscale_view()
    middle = axes.transAxes.transform((0.5, 0.5))[0]
    places = axes.transData.transform(list(points))
    written: list[tuple[float, float, float]] = []  # left, right, height of what is written already
    for number in sorted(range(len(points)), key=lambda number: points[number][1]):
        x, y = places[number]
        left = inwards and x > middle
        text, width = _short(names[number]), _LETTER * len(_short(names[number]))
        start = x - _GAP - width if left else x + _GAP
        height = y
        while any(
            start < right and other < start + width and abs(height - at) < _LETTER * 2
            for other, right, at in written
        ):
            height += 2.0
        written.append((start, start + width, height))
        to_points = 72 / axes.figure.dpi
        axes.annotate(
            text, points[number], xytext=((-8 if left else 8), (height - y) * to_points),
            textcoords="offset points", ha="right" if left else "left", va="center",
            fontsize=8.5, color=colours[number % len(colours)], annotation_clip=False,
        )  # fmt: skip


@contextmanager
def _drawing(name: str, height: float) -> Iterator[tuple["Axes", Callable[[], str]]]:
    """Axes to draw on, and what gives the element when all is drawn."""
    require_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE), warnings.catch_warnings():
        # the page's fonts show the text; that matplotlib's own lack a letter does not matter
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()

        def done() -> str:
            drawn = io.StringIO()
            figure.savefig(drawn, format="svg", transparent=True, metadata=_UNSEEN)
            return _element(drawn.getvalue(), name)

        yield axes, done


def _element(svg: str, name: str) -> str:
    """An SVG file as an element of a page: no ids of others, the page's colours and fonts."""
    from xml.etree.ElementTree import tostring

    from defusedxml.ElementTree import fromstring

    root = fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", visible(svg), count=1))
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            element.set(key.rpartition("}")[2], _attribute(value, name, key))
        for child in [child for child in element if child.tag.endswith("}style")]:
            element.remove(child)
    used = set(re.findall(r"#(" + re.escape(name) + r"-\w+)", tostring(root, encoding="unicode")))
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
    for size in ("width", "height"):
        root.attrib.pop(size)
    root.set("xmlns", "http://www.w3.org/2000/svg")
    root.set("aria-hidden", "true")  # the figure around it has a description
    return str(tostring(root, encoding="unicode"))


def _attribute(value: str, name: str, key: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href") or key == "clip-path":
        return value.replace("#", f"#{name}-")
    if key == "style":
        value = re.sub(r"font-family:[^;]*;? ?", "", value)
        return re.sub(r"#[0-9a-f]{6}", lambda found: _COLOURS.get(found[0], found[0]), value)
    return value


def _short(text: str, limit: int = 34) -> str:
    flat = " ".join(harmless(text, 200).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
