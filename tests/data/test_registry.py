import pytest

from data.parsing import Parser
from data.registry import Row, registry


def test_rows_are_found_by_name_in_their_order_and_loaded_when_asked():
    table = registry(Row("b", "data.parsing:Parser", "Parses."), Row("a", "data.none:No", "None."))
    assert list(table) == ["b", "a"]
    assert table["b"].load() is Parser
    with pytest.raises(ImportError):
        table["a"].load()


def test_two_rows_of_one_name_are_refused():
    with pytest.raises(ValueError, match="one name"):
        registry(Row("a", "x:X", ""), Row("a", "y:Y", ""))
