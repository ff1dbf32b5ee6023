import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.training.batches import rows
from retrieval.training.examples import Example, TrainingDataError


def made(count, positives=2, negatives=1):
    return [
        Example(
            query=f"q{at}",
            pos=[f"p{at}.{one}" for one in range(positives)],
            neg=[f"n{at}.{one}" for one in range(negatives)],
            pos_id=[f"doc{at}"] * positives,
            neg_id=[f"doc{at + 1}"] * negatives,
            reasoning_query=f"r{at}",
        )
        for at in range(count)
    ]


@given(st.integers(4, 30), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3))
def test_every_epoch_has_every_example_once_but_for_the_last_batch(
    count, batch_size, negatives, epochs
):
    found = rows(made(count), batch_size=batch_size, negatives=negatives, epochs=epochs, seed=0)
    assert len(found) == epochs * count // batch_size * batch_size
    for epoch in range(epochs):
        queries = [row.query for row in found[epoch * count : (epoch + 1) * count]]
        assert len(set(queries)) == len(queries)
    for row in found:
        number = row.query[1:]
        assert row.passages[0].startswith(f"p{number}.")
        assert row.reasoning_query == f"r{number}"
        assert len(row.passages) == len(row.groups) == 1 + negatives


def test_passages_of_one_document_share_a_group_and_others_do_not():
    found = {row.query: row for row in rows(made(9), batch_size=1, negatives=1, epochs=1, seed=0)}
    assert found["q0"].groups[1] == found["q1"].groups[0]  # doc1
    assert len({row.groups[0] for row in found.values()}) == 9


def test_the_seed_alone_decides():
    def of(seed):
        return rows(made(20), batch_size=4, negatives=3, epochs=2, seed=seed)

    assert of(1) == of(1)
    assert of(1) != of(2)


def test_texts_without_ids_are_of_one_group_where_they_are_equal():
    same = [Example(query="a", pos=["text"]), Example(query="b", pos=["text"])]
    one, other = rows(same, batch_size=2, negatives=0, epochs=1, seed=0)
    assert one.groups == other.groups


def test_too_few_examples_for_a_batch_are_refused():
    with pytest.raises(TrainingDataError, match="--batch-size"):
        rows(made(3), batch_size=4, negatives=1, epochs=5, seed=0)
