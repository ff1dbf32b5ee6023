"""The rerankers against real vLLM servers, beside what transformers makes of the same weights."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from llama_index.core.base.llms.types import ChatMessage

from retrieval.reranking.cross_encoder import CrossEncoderReranker
from retrieval.reranking.definitions import DEFINITIONS
from retrieval.reranking.pointwise import Grading
from retrieval.reranking.qwen import QwenReranker, messages
from retrieval.reranking.qwen_sampled import QwenSampledReranker
from retrieval.reranking.rank1 import Rank1Reranker
from retrieval.reranking.rank1 import prompt as rank1_prompt
from retrieval.reranking.retro_star import RetroStarReranker
from tests.retrieval.reranking.scripted import passages
from tests.tiny_models import tiny_cross_encoder
from tests.vllm_server import VllmServer, vllm_server

pytestmark = pytest.mark.slow

TEXTS = [
    f"Pump {n} lifts water from shaft {n * 7} to the tank of block {n % 5}." for n in range(40)
]


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cross_encoder(tmp_path_factory.mktemp("tiny") / "cross")


@pytest.fixture(scope="module")
def cross_encoder_server(
    cross_encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmServer]:
    flags = ["--runner", "pooling", "--served-model-name", "tiny-cross", "--max-model-len", "512"]
    command = ["vllm", "serve", str(cross_encoder), *flags]
    with vllm_server(command, tmp_path_factory.mktemp("vllm")) as running:
        yield running


def by_text(nodes) -> dict[str, float]:
    return {found.node.text: found.score for found in nodes}


def chat_prompt(tokenizer, messages: Sequence[ChatMessage]) -> list[int]:
    dicts = [{"role": message.role.value, "content": message.content} for message in messages]
    return tokenizer.apply_chat_template(dicts, add_generation_prompt=True, return_dict=False)


def reference(folder: Path):
    """Gives the log-odds of the next token after ids, [vocabulary], and the tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def next_token(ids: Sequence[int]):
        with torch.inference_mode():
            return model(torch.tensor([ids])).logits[0, -1].double()

    return next_token, AutoTokenizer.from_pretrained(folder)


async def test_the_expected_grade_is_that_of_transformers(chat_server, chat_model, client):
    import torch

    next_token, tokenizer = reference(chat_model)
    digits = tokenizer.convert_tokens_to_ids(list("012345"))
    llm = client(f"{chat_server.url}/v1", model="tiny-chat")
    reranked = await QwenReranker(llm, grading=Grading(weight=1)).rerank(
        "Which pump?", passages(TEXTS)
    )
    assert reranked.notes["ok"] == len(TEXTS), reranked.notes
    grades = by_text(reranked.nodes)
    assert max(grades.values()) - min(grades.values()) > 0.01  # else any constant would do
    for text in TEXTS:
        ids = chat_prompt(tokenizer, messages("Which pump?", text, DEFINITIONS["general"]))
        odds = next_token(ids)[digits].softmax(0)
        expected = float(odds @ torch.arange(6, dtype=torch.float64))
        assert 5 * grades[text] == pytest.approx(expected, abs=1e-4)


async def test_a_constrained_grade_can_always_be_read(chat_server, client):
    # The server closes connections that are idle for a while; the application asks again, too.
    llm = client(f"{chat_server.url}/v1", model="tiny-chat", retries=2)
    reranker = QwenReranker(llm, grading=Grading(deadline=240))
    texts = [f"{at}: {TEXTS[at % 40]}" for at in range(300)]
    reranked = await reranker.rerank("Which pump?", passages(texts))
    assert reranked.notes["ok"] == 300, reranked.notes


async def test_without_the_constraint_noise_is_no_grade(chat_server, client):
    """The control: it is the constraint that makes the answers of this model readable."""
    llm = client(f"{chat_server.url}/v1", model="tiny-chat")
    reranker = QwenReranker(llm)
    reranker._constrains = False
    reranked = await reranker.rerank("Which pump?", passages(TEXTS))
    assert reranked.notes["wrong_format"] + reranked.notes["missing"] > 30, reranked.notes


async def test_the_published_recipe_runs(chat_server, client):
    llm = client(f"{chat_server.url}/v1", model="tiny-chat", chat=False)
    reranked = await QwenSampledReranker(llm).rerank("Which pump?", passages(TEXTS))
    assert reranked.notes["missing"] + reranked.notes["ok"] == len(TEXTS), reranked.notes


async def test_several_verdicts_come_of_one_call(chat_server, client, metrics):
    llm = client(f"{chat_server.url}/v1", model="tiny-chat")
    reranker = RetroStarReranker(llm, samples=4, reasoning_tokens=8)
    before = metrics.read("generation_tokens_total")
    reranked = await reranker.rerank("Which pump?", passages(TEXTS[:5]))
    assert reranked.notes["missing"] == 5, "noise has no points, and is none the less an answer"
    assert metrics.read("generation_tokens_total") - before > 5 * 8, "more than one each could have"


async def test_verdicts_after_thoughts_are_those_of_transformers(chat_server, chat_model, client):
    next_token, tokenizer = reference(chat_model)
    words = tokenizer.convert_tokens_to_ids(["Ġtrue", "Ġfalse"])
    llm = client(f"{chat_server.url}/v1", model="tiny-chat", chat=False)
    reranker = Rank1Reranker(llm, thinking_tokens=5)
    reranked = await reranker.rerank("Which pump?", passages(TEXTS[:6]))
    assert reranked.notes["ok"] == 6, reranked.notes
    for text, grade in by_text(reranked.nodes).items():
        ids = tokenizer(rank1_prompt("Which pump?", text)).input_ids
        thought: list[int] = []
        for _ in range(5):
            thought.append(int(next_token([*ids, *thought]).argmax()))
        said = tokenizer.decode(thought).strip()
        ended = tokenizer(f"{rank1_prompt('Which pump?', text)}\n{said}\n</think>").input_ids
        assert grade == pytest.approx(float(next_token(ended)[words].softmax(0)[0]), abs=1e-4)


async def test_scores_of_a_cross_encoder_are_those_of_transformers(
    cross_encoder_server, cross_encoder, connections
):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(cross_encoder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(cross_encoder)
    one = CrossEncoderReranker(connections, f"{cross_encoder_server.url}/v1", "tiny-cross", batch=7)
    long = "water " * 2000
    reranked = await one.rerank("Which pump?", passages([*TEXTS, long]))
    assert reranked.notes["ok"] == len(TEXTS) + 1, reranked.notes
    scores = by_text(reranked.nodes)
    assert len({round(score, 4) for score in scores.values()}) > 10
    for text in TEXTS:
        with torch.inference_mode():
            pair = tokenizer("Which pump?", text, return_tensors="pt")
            logits = model(input_ids=pair.input_ids, attention_mask=pair.attention_mask).logits
        assert scores[text] == pytest.approx(float(logits.sigmoid()), abs=1e-4)


async def test_another_model_than_the_servers_is_told(chat_server, client):
    llm = client(f"{chat_server.url}/v1", model="another")
    reranked = await QwenReranker(llm).rerank("q", passages(["a"]))
    assert "HTTP 404" in str(reranked.notes["error"])
