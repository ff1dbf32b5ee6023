"""What calls come to in money, and when nothing is said of it."""

import pytest

from rag_app.cost.metering import Call, Meter
from rag_app.cost.prices import dollars_of
from rag_app.settings import LLMSettings

PRICES = {"dear": (2.0, 8.0), "cheap": (0.0, 0.5)}


def call(model: str, read: int | None = 1000, written: int | None = 500) -> Call:
    return Call("read", model, read, written, 1.0)


def test_read_and_written_tokens_have_their_own_prices() -> None:
    meter = Meter([call("dear"), call("dear", 0, 1_000_000), call("cheap", 10**6, 2)])
    assert dollars_of(meter, PRICES) == pytest.approx(0.002 + 0.004 + 8 + 0.000001)
    assert dollars_of(Meter(), PRICES) == 0


@pytest.mark.parametrize("odd", [call("another"), call("dear", None), call("dear", written=None)])
def test_a_sum_that_lacks_a_part_is_none(odd: Call) -> None:
    assert dollars_of(Meter([call("dear"), odd]), PRICES) is None
    assert dollars_of(Meter(), {}) is None


def test_what_is_known_of_one_model_is_not_said_of_another() -> None:
    ours = LLMSettings(model="dear", parameters=3.0, price_input=1, price_output=2)
    assert ours.with_model("dear") == ours
    other = ours.with_model("cheap")
    assert (other.model, other.parameters, other.price_input) == ("cheap", None, None)
    first = LLMSettings(price_input=1, price_output=2).with_model("dear")
    assert first.price_output == 2, "prices that were set before a model was connected are its own"
