from rag_app.synthesis.audit import audit
from retrieval.training.pairs import Passage
from tests.rag_app.support import prose


def found(**texts):
    return {one.document: one for one in audit(Passage(n, t, (), n) for n, t in texts.items())}


def test_prose_is_worth_it_and_each_fault_is_named():
    one = prose("one", 60)
    reasons = {
        name: finding.reason
        for name, finding in found(
            short="A few words only.",
            repeats="the pump runs dry again and " * 80,
            noise=" ".join(f"{at * 7919 % 99991:x}{at * 104729 % 99991:x}" for at in range(400)),
        ).items()
    }
    assert reasons["short"] == "it has fewer than 100 words"
    assert reasons["repeats"] == "it repeats itself"
    assert found(one=one)["one"].words == len(one.split())


def test_a_copy_is_found_whatever_stands_around_it():
    text = " ".join(f"word{at} and thing{at * 3}" for at in range(80))
    both = found(one=text, two=f"A title. {text}")
    assert {one.reason for one in both.values()} == {"most of it stands in other documents, too"}
    assert both["one"].repeated == 1.0
    assert found(one=text)["one"].repeated == 0.0


def test_a_document_is_judged_over_all_its_passages():
    parts = [Passage("d", f"part {at} has words of its own kind", (), "d") for at in range(30)]
    (one,) = audit(parts)
    assert one.passages == 30
    assert one.words == 240
