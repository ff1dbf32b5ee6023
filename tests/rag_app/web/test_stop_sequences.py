import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag_app.web.stop_sequences import StopSequences

TEXTS = st.text("ab\n", max_size=30)


def passed(pieces, stops) -> str:
    stream = StopSequences(stops)
    return "".join([*map(stream.feed, pieces), stream.finish()])


@given(st.lists(TEXTS, max_size=6), st.lists(TEXTS, max_size=3))
@example(["a", "b", "ba"], ["abba", "b"])
def test_text_ends_before_the_stop_that_is_complete_first_wherever_it_is_split(pieces, stops):
    text = "".join(pieces)
    found = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    ends = [start for end, start in sorted(found) if end > start]
    assert passed(pieces, stops) == text[: ends[0] if ends else None]


@pytest.mark.parametrize(("fed", "shown"), [("one\n", "one"), ("one", "one"), ("one\n\nt", "one")])
def test_only_what_may_begin_a_stop_is_held_back(fed, shown):
    assert StopSequences(["\n\n"]).feed(fed) == shown
