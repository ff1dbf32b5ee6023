import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.vector_memory import VectorMemory
from tests.generation.test_quoting import bag

texts = st.text(max_size=8)


@given(st.lists(st.lists(texts, min_size=1, max_size=6), max_size=6), st.integers(1, 4))
def test_it_gives_what_the_encoder_gives(asked, size):
    memory = VectorMemory(bag, size)
    for few in asked:
        np.testing.assert_array_equal(memory(few), bag(few))


def test_only_what_is_new_is_encoded_and_the_oldest_is_forgotten():
    seen = []

    def embed(given):
        seen.append(list(given))
        return bag(given)

    memory = VectorMemory(embed, size=2)
    for few in (["a", "b", "a"], ["b", "a"], ["c"], ["a", "c"], ["b"]):
        memory(few)
    assert seen == [["a", "b"], ["c"], ["b"]]


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match="size is 0"):
        VectorMemory(bag, 0)
