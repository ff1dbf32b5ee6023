"""Cross-encoders in this process, against sentence-transformers' own and transformers'."""

import json
import math
import shutil
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from retrieval.encoders.errors import ModelMismatchError, ModelMissingError
from retrieval.reranking.cross_encoder_models import CROSS_ENCODERS
from retrieval.reranking.local_cross_encoder import LocalCrossEncoder, load_scorer
from tests.conftest import REPOSITORY
from tests.retrieval.reranking.scripted import ids, passages
from tests.tiny_models import tiny_bert, tiny_chat, tiny_cross_encoder

QUERY = "Which statement releases a lock when its block is left?"
TEXTS = [
    "The with statement wraps a block and releases what it was given.",
    "A lock.",
    "Numbers are compared by value. " * 20,
    "return leaves the function, and its finally clauses run first.",
    "water " * 700,
    "Ein Satz mit Umlauten: Öl, Äste, Übel \U0001f600.",
]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with one score a pair, as safetensors and as an onnx graph."""
    folder = tiny_bert(tmp_path_factory.mktemp("tiny") / "cross", pairs=True)
    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager")
    pair = AutoTokenizer.from_pretrained(folder)(QUERY, TEXTS[0], return_tensors="pt")
    names = ["input_ids", "attention_mask", "token_type_ids"]
    (folder / "onnx").mkdir()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            tuple(pair[name] for name in names),
            folder / "onnx" / "model.onnx",
            input_names=names,
            output_names=["logits"],
            dynamic_axes={name: {0: "pair", 1: "token"} for name in names},
            dynamo=False,
        )
    return folder


def reference(folder: Path) -> np.ndarray:
    model = CrossEncoder(str(folder), device="cpu", activation_fn=torch.nn.Identity())
    return model.predict([(QUERY, text) for text in TEXTS])


@pytest.mark.parametrize("backend", ["transformers", "onnx"])
def test_scores_are_those_of_sentence_transformers(bert, backend):
    expected = reference(bert)
    assert np.ptp(expected) > 0.05, "the scores must differ"
    assert load_scorer(str(bert), backend).scores(QUERY, TEXTS) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("make", [tiny_cross_encoder, partial(tiny_chat, words=["yes", "no"])])
def test_decoders_are_scored_as_sentence_transformers_does(tmp_path, make):
    """A Qwen2 with a head for one label, and one that says yes or no, as mxbai-rerank-v2 does."""
    folder = make(tmp_path / "decoder")
    found = load_scorer(str(folder)).scores(QUERY, TEXTS)
    assert np.ptp(found) > 0.01
    assert found == pytest.approx(reference(folder), abs=1e-5)


async def test_passages_are_ordered_by_the_sigmoid_of_the_score(bert):
    scores = reference(bert)
    reranked = await LocalCrossEncoder(str(bert)).rerank(QUERY, passages(TEXTS))
    assert ids(reranked.nodes) == [f"p{at}" for at in np.argsort(-scores)]
    assert [reranked.grades[f"p{at}"] for at in range(len(TEXTS))] == pytest.approx(
        [1 / (1 + math.exp(-score)) for score in scores], abs=1e-5
    )
    assert (reranked.notes["ok"], reranked.notes["cut"]) == (len(TEXTS), 1), "one has 700 words"


async def test_a_question_longer_than_the_model_reads_is_told_as_cut(bert):
    for backend in ("transformers", "onnx"):
        one = LocalCrossEncoder(str(bert), backend=backend)
        reranked = await one.rerank("water " * 600, passages(["a", "b"]))
        assert (reranked.notes["ok"], reranked.notes["cut"]) == (2, 2)


async def test_a_model_that_gives_nothing_finite_leaves_the_order(bert, tmp_path):
    folder = Path(shutil.copytree(bert, tmp_path / "copy"))
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    model.classifier.bias.data[:] = math.nan
    model.save_pretrained(folder)
    reranked = await LocalCrossEncoder(str(folder)).rerank(QUERY, passages(["a", "b"]))
    assert ids(reranked.nodes) == ["p0", "p1"]
    assert reranked.notes["missing"] == 2


async def test_a_score_far_below_zero_is_a_grade_of_nothing(bert, tmp_path):
    folder = Path(shutil.copytree(bert, tmp_path / "copy"))
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    model.classifier.bias.data[:] = -800
    model.save_pretrained(folder)
    reranked = await LocalCrossEncoder(str(folder)).rerank(QUERY, passages(["a", "b"]))
    assert set(reranked.grades.values()) == {0.0}


def test_what_is_no_cross_encoder_is_refused_with_its_reason(bert, tmp_path):
    two = tiny_bert(tmp_path / "two", pairs=True, labels=2)
    with pytest.raises(ModelMismatchError, match="2 scores a pair"):
        load_scorer(str(two))
    graph = Path(shutil.copytree(bert, tmp_path / "graph"))
    (graph / "onnx" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelMismatchError, match="cannot be used"):
        load_scorer(str(graph), "onnx")
    pickled = Path(shutil.copytree(bert, tmp_path / "pickled"))
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ModelMissingError, match=r"no model\.safetensors.*can run code"):
        load_scorer(str(pickled), "transformers")
    with pytest.raises(ModelMissingError, match="there is no model"):
        LocalCrossEncoder("./nowhere")
    with pytest.raises(ValueError, match="backend is 'tpu'"):
        LocalCrossEncoder(str(bert), backend="tpu")


@pytest.mark.parametrize("declared", [True, False])
def test_code_beside_the_weights_is_not_run(bert, tmp_path, declared):
    folder = Path(shutil.copytree(bert, tmp_path / "hostile"))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]
    (folder / "modules.json").write_text(json.dumps(modules), "utf-8")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["auto_map"] = {"AutoModelForSequenceClassification": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    if declared:
        told = json.dumps({"model_type": "CrossEncoder"})
        (folder / "config_sentence_transformers.json").write_text(told, "utf-8")
        with pytest.raises(ModelMismatchError, match="third-party code"):
            load_scorer(str(folder))
    else:
        assert load_scorer(str(folder)).scores(QUERY, TEXTS[:1]).shape == (1,)
    assert not (tmp_path / "ran").exists()


def test_the_documented_models_are_those_of_the_rows():
    page = (REPOSITORY / "docs" / "pipeline.md").read_text("utf-8")
    lines = page.partition("<!-- table of cross-encoders -->")[2].partition("<!-- end")[0]
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines.split("\n")[3:-1]
    ]
    assert [(name, model, licence) for name, model, _, licence in rows] == [
        (name, row.model_id, row.licence) for name, row in CROSS_ENCODERS.items()
    ]
    units = {"M": 1e6, "B": 1e9}
    stated = [float(number.split()[0]) * units[number.split()[1]] for _, _, number, _ in rows]
    assert stated == pytest.approx([row.parameters for row in CROSS_ENCODERS.values()])
