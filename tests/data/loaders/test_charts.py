"""Charts as tables."""

import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE

from data.loaders.charts import chart


def test_a_chart_is_a_table_of_values_as_shown():
    values = CategoryChartData(number_format="0.0%")
    values.categories = ["May", "June"]
    values.add_series("Bikes", (0.25, 0.5))
    (block,) = chart(values.xml_bytes(XL_CHART_TYPE.PIE))
    assert block.text.splitlines()[2:] == ["| May | 25.0% |", "| June | 50.0% |"]


@pytest.mark.parametrize("xml", [b"", b"<chart/>", b"<a"])
def test_what_is_no_chart_is_refused(xml):
    with pytest.raises(ValueError, match="no chart"):
        list(chart(xml))
