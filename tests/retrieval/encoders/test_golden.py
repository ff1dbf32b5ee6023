import json

import numpy as np
import pytest

from retrieval.encoders import golden
from retrieval.encoders.base import Encoded
from retrieval.encoders.errors import ModelMismatchError, ModelMissingError
from retrieval.encoders.golden import check, cosine, load, make
from retrieval.encoders.prompted import PromptedEncoder
from retrieval.encoders.registry import EncoderRow
from tests.encoders import HashingEncoder

ROW = EncoderRow(
    name="turned",
    model_id="tests/turned",
    dimension=32,
    passage_length=50,
    query_length=50,
    query_template="query {instruction} : {text}",
    document_template="passage : {text}",
    plain_template="{text}",
    instruction="find it",
    pooling="mean",
    causal=False,
    licence="Apache-2.0",
)


class Turned(PromptedEncoder):
    """The hashing encoder with a template, and an error of its vectors to choose.

    `wrong` maps a prompt and its vector to what a wrong server gives.
    """

    wrong: object = None

    def __init__(self, wrong=lambda prompt, vector: vector, row=ROW, **more) -> None:
        lengths = {"passage_length": row.passage_length, "query_length": row.query_length, **more}
        super().__init__(model_name=row.model_id, row=row, wrong=wrong, **lengths)

    def count_tokens(self, text: str) -> int:
        return len(text.split()) + 2

    def _encode(self, texts, prefix, limit, on_encoded=None) -> Encoded:
        prompts = [" ".join((prefix + text).split()[:limit]) for text in texts]
        encoded = HashingEncoder().encode_passages(prompts)
        wrong = [self.wrong(*pair) for pair in zip(prompts, encoded.vectors, strict=True)]
        return encoded._replace(vectors=np.array(wrong, np.float32))


def noisy(amount: float):
    noise = np.random.default_rng(0).normal(size=32) * amount / np.sqrt(32)
    return lambda _, vector: vector + noise


def test_an_encoder_agrees_with_its_own_golden_vectors():
    assert check(Turned(), make(Turned())) == pytest.approx(1, abs=1e-6)


def test_golden_vectors_survive_the_file(tmp_path):
    made = make(Turned())
    made.save(tmp_path / "golden.json")
    assert load(tmp_path / "golden.json") == made
    told = json.loads((tmp_path / "golden.json").read_text("utf-8"))
    assert told["identity"]["model"] == "tests/turned"


def test_probes_are_of_every_sort():
    made = make(Turned())
    passages = [sample.text for sample in made.samples if sample.kind == "passage"]
    queries = [sample.text for sample in made.samples if sample.kind == "query"]
    assert set(queries) < set(passages)
    assert any(text.startswith("\n") for text in queries)
    assert any(len(text.split()) == 1 for text in queries)
    assert any(not text.isascii() for text in queries)
    assert sum(Turned().encode_passages([text]).tokens[0] > 48 for text in passages) >= 1
    assert max(len(text.split()) for text in passages) > ROW.passage_length


def test_rounding_is_forgiven_and_more_is_not():
    made = make(Turned())
    assert 0.999 < check(Turned(noisy(0.01)), made) < 0.99999
    with pytest.raises(ModelMismatchError):
        check(Turned(noisy(0.1)), made)
    assert check(Turned(noisy(0.1)), made, threshold=0.9) > 0.9


def test_the_worst_text_its_kind_and_cosine_and_likely_causes_are_named():
    made = make(Turned())

    def wrong(prompt, vector):
        return -vector if prompt.startswith("query") and "virus" in prompt else vector

    with pytest.raises(ModelMismatchError) as raised:
        check(Turned(wrong), made)
    told = str(raised.value)
    for part in (
        "encoder turned", "the query 'What is the difference between a virus", "-1.0000", "0.999",
        "mask is causal", "pooling", "instruction", "template",
    ):  # fmt: skip
        assert part in told


def test_a_vector_that_is_not_finite_does_not_agree():
    made = make(Turned())
    with pytest.raises(ModelMismatchError):
        check(Turned(lambda _, vector: vector * np.nan), made)


@pytest.mark.parametrize(
    ("encoder", "part"),
    [
        (Turned(row=ROW.model_copy(update={"name": "other"})), "encoder is 'turned'"),
        (Turned(row=ROW.model_copy(update={"model_id": "tests/other"})), "model is 'tests/turned'"),
        (Turned(revision="abc"), "revision is 'main', and here it is 'abc'"),
        (Turned(passage_length=49), "max_length is 50, and here it is 49"),
        (Turned(instruction=""), "query_template"),
        (Turned(row=ROW.model_copy(update={"document_template": "{text}"})), "document_template"),
    ],
)
def test_golden_vectors_of_anything_else_are_refused(encoder, part):
    with pytest.raises(ModelMismatchError, match="are not those of encoder") as raised:
        check(encoder, make(Turned()))
    assert part in raised.value.cause


@pytest.mark.parametrize(("made_of", "checked"), [("local:0f3a", "main"), ("main", "local:0f3a")])
def test_weights_of_a_folder_may_be_those_that_are_served_by_another_name(made_of, checked):
    made = make(Turned(revision=made_of))
    assert check(Turned(revision=checked), made) == pytest.approx(1, abs=1e-6)
    with pytest.raises(ModelMismatchError, match="does not give its golden vectors"):
        check(Turned(lambda _, vector: -vector, revision=checked), made)
    if made_of.startswith("local:"):
        with pytest.raises(ModelMismatchError, match="are not those of encoder"):
            check(Turned(revision="local:1f3b"), made)


def test_another_instruction_is_put_aside_for_the_check():
    made = make(Turned(instruction="look for it"))
    encoder = Turned(instruction="something else")
    assert check(encoder, made) == pytest.approx(1, abs=1e-6)
    assert encoder.instruction == "something else"


def test_encoders_without_templates_have_golden_vectors_too():
    assert check(HashingEncoder(), make(HashingEncoder())) == pytest.approx(1, abs=1e-6)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ModelMissingError, match="No such file") as raised:
        load(tmp_path / "absent.json")
    assert "rag-app golden" in raised.value.hint


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "another"}', "\x00"])
def test_another_file_is_told(tmp_path, content):
    path = tmp_path / "golden.json"
    path.write_text(content)
    with pytest.raises(ModelMismatchError, match="does not hold golden vectors"):
        load(path)


def test_vectors_of_another_length_do_not_hold(tmp_path):
    made = make(Turned())
    short = made.samples[0].model_copy(update={"vector": made.samples[1].vector[:-8]})
    made.model_copy(update={"samples": (short, *made.samples[1:])}).save(tmp_path / "golden.json")
    with pytest.raises(ModelMismatchError, match="not of one length"):
        load(tmp_path / "golden.json")


def test_the_cosine_is_that_of_pairs():
    one = np.array([[1, 0], [3, 4], [2, 0]], np.float32)
    other = np.array([[5, 0], [4, 3], [0, 1]], np.float32)
    np.testing.assert_allclose(cosine(one, other), [1, 24 / 25, 0])


def test_golden_vectors_are_immutable():
    with pytest.raises(ValueError, match="frozen"):
        make(Turned()).instruction = "other"
    assert golden.THRESHOLD == 0.999
