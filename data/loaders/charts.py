"""Charts of Office files as tables of the values that they show."""

from collections.abc import Iterator
from typing import Any

from data.blocks import Block
from data.cleaning import inline
from data.loaders.making import table
from data.loaders.number_format import shown

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"


def chart(xml: bytes) -> Iterator[Block]:
    """The table of a chart, given its part of a file; raises ValueError where it is none."""
    from lxml import etree
    from pptx.chart.chart import Chart
    from pptx.oxml import parse_xml

    try:
        yield from values_of(Chart(parse_xml(xml), None))  # type: ignore[no-untyped-call]
    except (AttributeError, KeyError, TypeError, etree.LxmlError) as error:
        raise ValueError("it is no chart") from error


def values_of(chart: Any) -> Iterator[Block]:
    """The table of a chart as python-pptx has it, a column a series."""
    title = (
        chart.chart_title.text_frame.text
        if chart.has_title and chart.chart_title.has_text_frame
        else ""
    )
    for plot in chart.plots:
        series = list(plot.series)
        categories = [inline(str(label)) for label in plot.categories]
        if not categories and series:  # points: the places of the first series name the rows
            categories = [shown(float(node.text or 0)) for node in _places(series[0])]
        rows = [("", *(inline(each.name or "") for each in series))]
        values = [list(each.values) for each in series]
        forms = [_format(each) for each in series]
        for at, label in enumerate(categories):
            cells = (column[at] if at < len(column) else None for column in values)
            texts = (
                "" if cell is None else shown(cell, form)
                for cell, form in zip(cells, forms, strict=True)
            )
            rows.append((label, *texts))
        yield from table(tuple(rows), 1, title)


def _places(series: Any) -> list[Any]:
    """The values across of the points of a series."""
    return [node for across in series._element.iter(f"{_C}xVal") for node in across.iter(f"{_C}v")]


def _format(series: Any) -> str:
    """The number format of a series' values."""
    return next((node.text or "" for node in series._element.iter(f"{_C}formatCode")), "General")
