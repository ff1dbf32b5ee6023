"""What names a thing exactly is found whatever its punctuation, and stands first."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.encoders.minilm import MiniLMEmbedding
from retrieval.fusion import MinMaxFusion
from retrieval.identifiers import identifiers_of, raise_holders
from retrieval.index.edge import EdgeStore, create_shard
from retrieval.retriever import HybridRetriever
from tests.rag_app.support import ingest_folder, spec, write

RANKING = [("a", 0.9), ("b", 0.8), ("c", 0.3), ("d", 0.1)]


def order(held: dict[str, set[str]], ranking: Sequence[tuple[str, float]] = RANKING) -> str:
    return "".join(passage for passage, _ in raise_holders(ranking, held))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CVE-2024-12354", "(cve 2024) CVE‑2024‑12354."),
        ("4711/08-15a", "Part 4711-08/15A, new."),
        ("978-3-16-148411-7", "9783161484117"),
        ("DE44 5001 0517 5407 3249 31", "DE44500105175407324931"),
        ("00:1A:2B:3C:4D:5E", "00-1a-2b-3c-4d-5e"),
        ("H2SO4", "H₂SO₄"),
        ("R2.017", "r2-017"),
        ("AB\u00ad12345", "AB12345"),
    ],
)
def test_an_identifier_is_the_same_however_it_is_punctuated(one, other):
    assert identifiers_of(one)
    assert identifiers_of(one) & identifiers_of(other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a word",
        "in 2019",
        "IL-6",
        "vitamin B12",
        "1.250.000",
        "3.14159",
        "12000",
        "x" * 70 + "12",
    ],
)
def test_words_amounts_and_short_names_are_none(text):
    assert identifiers_of(text) == set()


def test_addresses_of_machines_keep_their_points():
    assert identifiers_of("192.168.0.1") != identifiers_of("192.16.80.1") != set()


def test_neighbours_in_a_sentence_stay_out():
    assert identifiers_of("See AB12-345的 and (AB12-346).") == {"ab12345", "ab12346"}


@pytest.mark.parametrize("unit", ["x", "-", "a1 ", "1234 ", "a-1/", "ä", "\u0300\u0316\u0327"])
def test_work_grows_with_the_text(unit):
    assert len(identifiers_of(unit * 200_000)) <= 2


def test_what_holds_a_named_identifier_rises_for_each():
    assert raise_holders(RANKING, {"b": {"x"}})[0] == ("b", 0.8 + (0.9 - 0.1) / 2)
    assert order({"c": {"x"}}) == "abcd"
    assert order({"c": {"x", "y"}}) == "cabd"
    assert order({"b": {"x"}}, [("a", 0.9), ("b", 0.8)]) == "ba"


def test_what_many_hold_or_none_changes_nothing():
    many = [(str(k), 1.0 - k / 10) for k in range(8)]
    assert raise_holders(many, {str(k): {"x"} for k in range(2, 8)}) == many
    assert raise_holders(RANKING, {"a": set()}) == RANKING
    assert raise_holders([], {"a": {"x"}}) == []


@given(
    st.dictionaries(st.text(min_size=1), st.floats(-1, 2), min_size=1),
    st.dictionaries(st.text(min_size=1), st.sets(st.sampled_from("xyz"))),
)
def test_scores_fall_and_no_passage_is_lost(scores, held):
    ranking = sorted(scores.items(), key=lambda one: -one[1])
    raised = raise_holders(ranking, held)
    assert {passage for passage, _ in raised} == scores.keys()
    values = [score for _, score in raised]
    assert values == sorted(values, reverse=True)


def test_a_hybrid_search_tells_numbers_apart_that_the_encoder_does_not(tmp_path):
    texts = {
        "gateway": "CVE-2024-12345 concerns the gateway.",
        "modem": "CVE-2024-12354 concerns the modem.",
        "hinge": "4711/08-15a is the hinge.",
        "latch": "4711/08-15b is the latch.",
        "book": "The handbook is ISBN 978-3-16-148411-7, blue cover.",
        **{f"hall {k}": f"The {k}th hall is behind the mill." for k in range(4, 10)},
    }
    encoder = MiniLMEmbedding(tmp_path)
    create_shard(tmp_path / "shard", spec(encoder=encoder))
    store = EdgeStore(tmp_path / "shard", spec(encoder=encoder))
    ingest_folder(
        store,
        write(tmp_path / "in", {f"{name}.txt": text for name, text in texts.items()}),
        tmp_path / "files",
        encoder,
    )
    retriever = HybridRetriever(store, encoder, MinMaxFusion())
    for query, source in (
        ("CVE-2024-12345", "gateway"),
        ("CVE-2024-12354", "modem"),
        ("4711-08-15A", "hinge"),
        ("4711-08-15B", "latch"),
        ("9783161484117", "book"),
    ):
        found = retriever.find(query)
        assert found.hits[0].node.metadata["source"] == f"{source}.txt"
        assert found.rankings["fused"][0][1] == found.hits[0].score
    store.close()
