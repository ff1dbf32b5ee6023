"""Random passages are as many and as long as those that were found, and other ones."""

from statistics import mean

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eval.choice.finding import node_of
from eval.choice.random_passages import PassagePool
from eval.errors import EvalError
from rag_app.results import Hit


def hit(number: int, words: int) -> Hit:
    text = " ".join(f"w{number}x{n}" for n in range(words))
    return Hit(f"c{number:05}", "book", 1, 0, len(text), text, 0.5, {}, {}, ("Chapter",), None)


def words(nodes):
    return sum(len(one.node.get_content().split()) for one in nodes)


POOL = [hit(n, 20 + n % 97) for n in range(600)]


@given(st.lists(st.integers(0, 599), min_size=1, max_size=10, unique=True), st.text())
def test_they_are_as_many_and_as_long_and_none_of_those_found(places, question):
    found = [POOL[place] for place in places]
    drawn = PassagePool(POOL).draw([node_of(one) for one in found], 0, question)
    total = sum(len(one.text.split()) for one in found)
    assert len(drawn) == len(found)
    assert abs(words(drawn) - total) <= 0.1 * total
    ids = {one.node.node_id for one in drawn}
    assert len(ids) == len(drawn)
    assert not ids & {one.passage_id for one in found}


def test_they_depend_on_seed_and_question_and_on_no_order():
    found = [node_of(one) for one in POOL[:6]]

    def drawn(pool, seed=0, question="q"):
        return [one.node.node_id for one in PassagePool(pool).draw(found, seed, question)]

    assert drawn(POOL) == drawn(POOL[::-1])
    assert drawn(POOL) != drawn(POOL, seed=1)
    assert drawn(POOL) != drawn(POOL, question="r")


def test_all_passages_of_the_right_length_are_drawn_about_equally_often():
    pool = PassagePool([hit(n, 50) for n in range(40)])
    found = [node_of(hit(1000, 50))]
    counts = dict.fromkeys((f"c{n:05}" for n in range(40)), 0)
    for question in range(4000):
        (one,) = pool.draw(found, 0, str(question))
        counts[one.node.node_id] += 1
    assert mean(counts.values()) == 100
    assert min(counts.values()) > 50
    assert max(counts.values()) < 150


def test_they_keep_what_a_reader_sees_of_a_passage():
    (drawn,) = PassagePool([hit(1, 50)]).draw([node_of(hit(2, 50))], 0, "q")
    assert drawn.node.metadata["source"] == "book"
    assert drawn.node.metadata["page"] == 1
    assert drawn.node.metadata["headings"] == ["Chapter"]


@given(st.lists(st.integers(1, 300), max_size=12), st.lists(st.integers(1, 300), min_size=1))
def test_a_small_collection_gives_them_right_or_not_at_all(lengths, wanted):
    assume(len(wanted) <= 8)
    found = [node_of(hit(1000 + n, length)) for n, length in enumerate(wanted)]
    pool = PassagePool([hit(n, length) for n, length in enumerate(lengths)])
    try:
        drawn = pool.draw(found, 0, "q")
    except EvalError as error:
        assert "no" in str(error)
    else:
        assert len(drawn) == len(wanted)
        assert abs(words(drawn) - sum(wanted)) <= 0.1 * sum(wanted)


def test_a_collection_without_other_passages_is_named():
    with pytest.raises(EvalError, match=r"no 3 random passages of 150 words.*has 2 passages"):
        PassagePool([hit(1, 50), hit(2, 50)]).draw([node_of(hit(n, 50)) for n in (7, 8, 9)], 0, "q")
