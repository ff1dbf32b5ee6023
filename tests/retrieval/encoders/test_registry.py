"""The registry of encoders."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from retrieval.encoders.errors import UnknownEncoderError
from retrieval.encoders.registry import EncoderRow, built_in, row

WEB = "Given a web search query, retrieve relevant passages that answer the query"
QUESTION = "Given a question, retrieve relevant passages that help answer the question"
QUERY = "Given a query, retrieve documents that can help answer the query."
PREFIXES = {
    "minilm": ("", ""),
    "reasonir-8b": (f"<|user|>\n{QUESTION}\n<|embed|>\n", "<|embed|>\n"),
    "reason-embed-qwen3-8b": (f"Instruct: {QUERY}\nQuery: ", ""),
    "reason-embed-qwen3-4b": (f"Instruct: {QUERY}\nQuery: ", ""),
    "reason-embed-llama-3.1-8b": (f"Instruct: {QUERY}\nQuery: ", ""),
    "diver-4b": (f"Instruct: {WEB}\nQuery:", "Represent this text:"),
    "diver-4b-1020": (f"Instruct: {WEB}\nQuery:", "Represent this text:"),
    "gritlm-7b": (f"<|user|>\n{QUESTION}\n<|embed|>\n", "<|embed|>\n"),
    "gte-qwen2-7b": (f"Instruct: {WEB}\nQuery: ", ""),
    "qwen3-embedding-0.6b": (f"Instruct: {WEB}\nQuery:", ""),
    "qwen3-embedding-4b": (f"Instruct: {WEB}\nQuery:", ""),
    "qwen3-embedding-8b": (f"Instruct: {WEB}\nQuery:", ""),
    "contriever": ("", ""),
    "openai-3-large": ("", ""),
}
"""What stands before a query and before a passage, with the row's own instruction."""
BRIGHT = {
    "biology", "earth_science", "economics", "psychology", "robotics", "stackoverflow",
    "sustainable_living", "leetcode", "pony", "aops", "theoremqa_questions", "theoremqa_theorems",
}  # fmt: skip
LONG = BRIGHT - {"leetcode", "aops", "theoremqa_questions", "theoremqa_theorems"}


def with_fields(**fields: object) -> EncoderRow:
    return EncoderRow.model_validate({**built_in()["minilm"].model_dump(), **fields})


def test_a_built_in_row_is_found_by_name() -> None:
    found = row("minilm")
    assert (found.dimension, found.passage_length, found.pooling) == (384, 256, "mean")


def test_an_unknown_name_lists_the_known_ones() -> None:
    own = row("minilm").model_copy(update={"name": "ours"})
    with pytest.raises(UnknownEncoderError, match=r"'bert'.*minilm, .*ours"):
        row("bert", [own])


def test_a_row_of_the_user_wins_over_one_that_ships() -> None:
    own = row("minilm").model_copy(update={"passage_length": 128})
    assert row("minilm", [own]).passage_length == 128
    assert built_in()["minilm"].passage_length == 256


def test_rows_and_the_registry_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        built_in()["minilm"].dimension = 3
    with pytest.raises(TypeError):
        built_in()["other"] = built_in()["minilm"]  # type: ignore[index]


def test_every_row_is_filed_under_its_own_name() -> None:
    assert all(name == one.name for name, one in built_in().items())


@pytest.mark.parametrize("name", sorted({*PREFIXES, *built_in()}))
def test_templates_are_those_published_to_the_last_blank(name: str) -> None:
    found = built_in()[name]
    assert (found.query_prefix(), found.passage_prefix()) == PREFIXES[name]
    assert (found.query_prefix(""), found.passage_prefix("")) == ("", "")


@pytest.mark.parametrize("name", ["reasonir-8b", "gritlm-7b", "gte-qwen2-7b"])
def test_tasks_of_bright_in_the_words_of_the_benchmark(name: str) -> None:
    tasks = built_in()[name].instructions
    assert set(tasks) == BRIGHT | {f"{task}_long" for task in LONG}
    assert tasks["earth_science"] == (
        "Given a earth_science post, retrieve relevant passages that help answer the post"
    )
    assert tasks["pony_long"] == (
        "Given a pony question, retrieve relevant documents that help answer the question"
    )
    assert tasks["leetcode"] == (
        "Given a coding problem, retrieve relevant examples that help answer the problem"
    )
    assert tasks["aops"] == tasks["theoremqa_questions"]
    assert tasks["theoremqa_theorems"] == (
        "Given a Math problem, retrieve relevant theorems that help answer the problem"
    )


@pytest.mark.parametrize("name", ["reason-embed-qwen3-8b", "qwen3-embedding-0.6b"])
def test_tasks_of_bright_in_the_words_of_flag_embedding(name: str) -> None:
    tasks = built_in()[name].instructions
    assert set(tasks) == BRIGHT | {f"{task}_long" for task in LONG}
    assert tasks["earth_science"] == (
        "Given an Earth Science post, retrieve relevant passages that help answer the post."
    )
    assert tasks["stackoverflow_long"] == (
        "Given a Stack Overflow post, retrieve relevant documents that help answer the post."
    )
    assert tasks["leetcode"] == (
        "Given a Coding problem, retrieve relevant examples that help answer the problem."
    )
    assert tasks["pony"].endswith("question.")
    assert tasks["pony_long"].endswith("question"), "published without the full stop"


def test_an_instruction_takes_the_place_of_the_row_s_own() -> None:
    prefix = built_in()["reasonir-8b"].query_prefix("Find the proof")
    assert prefix == "<|user|>\nFind the proof\n<|embed|>\n"


def test_published_numbers_name_their_source() -> None:
    for one in built_in().values():
        assert one.source.startswith("https://")
        assert (one.bright is not None) == one.bright_source.startswith("https://")


RERUN = {"diver-4b": "diver-retriever-4b", "reason-embed-qwen3-4b": "reason-embed-qwen3-4b-0928"}


@pytest.mark.parametrize("name", RERUN)
def test_published_numbers_are_those_that_others_measured_again(
    name: str, shared_data: Path
) -> None:
    """Pyserini's reruns in bfloat16; their documentation speaks of a drift of 0.3."""
    published = json.loads((shared_data / "published_numbers.json").read_text())
    tasks = published["pyserini-2cr-bright"][RERUN[name]]
    mean = 100 * sum(scores["nDCG@10"] for scores in tasks.values()) / len(tasks)
    assert len(tasks) == 12
    assert built_in()[name].bright == pytest.approx(mean, abs=0.35)


def test_models_that_forbid_commercial_use_are_restricted() -> None:
    restricted = {name for name, one in built_in().items() if one.restricted}
    assert restricted == {name for name, one in built_in().items() if "-NC-" in one.licence}
    assert restricted == {"reasonir-8b", "contriever"}


def decoder(
    layers: int, hidden: int, inner: int, keys: int, queries: int = 0, extra: int = 0
) -> int:
    """Weights of a Llama-like decoder without embeddings and head.

    Args:
        layers: how many blocks.
        hidden: width of the residual stream.
        inner: width inside the gated feed-forward part.
        keys: width of keys, and of values.
        queries: width of queries; `hidden` if left out.
        extra: biases, or the weights of norms of queries and keys, in one block.
    """
    queries = queries or hidden
    attention = 2 * hidden * queries + 2 * hidden * keys + extra
    return layers * (attention + 3 * hidden * inner + 2 * hidden) + hidden


LLAMA_8B = decoder(32, 4096, 14336, 1024)
QWEN3_8B = decoder(36, 4096, 12288, 1024, extra=256)
QWEN3_4B = decoder(36, 2560, 9728, 1024, queries=4096, extra=256)
SHAPES = {
    "reasonir-8b": LLAMA_8B,
    "reason-embed-qwen3-8b": QWEN3_8B,
    "reason-embed-qwen3-4b": QWEN3_4B,
    "reason-embed-llama-3.1-8b": LLAMA_8B,
    "diver-4b": QWEN3_4B,
    "diver-4b-1020": QWEN3_4B,
    "gritlm-7b": LLAMA_8B,
    "gte-qwen2-7b": decoder(28, 3584, 18944, 512, extra=3584 + 2 * 512),
    "qwen3-embedding-0.6b": decoder(28, 1024, 3072, 1024, queries=2048, extra=256),
    "qwen3-embedding-4b": QWEN3_4B,
    "qwen3-embedding-8b": QWEN3_8B,
    "contriever": 12 * (4 * (768**2 + 768) + 2 * 768 * 3072 + 3072 + 768 + 4 * 768),
    "openai-3-large": 0,
}


@pytest.mark.parametrize("name", sorted(set(built_in()) - {"minilm"}))
def test_parameters_follow_from_the_published_shape(name: str) -> None:
    assert built_in()[name].parameters == SHAPES[name]


TOTALS = {  # all parameters, and those of the embedding table, by MTEB's registry
    "reasonir-8b": (7_504_924_672, 525_336_576),
    "diver-4b": (4_021_774_336, 388_262_400),
    "gte-qwen2-7b": (7_069_121_024, 543_499_264),
    "qwen3-embedding-0.6b": (595_776_512, 155_309_056),
}


@pytest.mark.parametrize("name", TOTALS)
def test_parameters_are_the_published_total_without_the_embedding_table(name: str) -> None:
    total, table = TOTALS[name]
    assert built_in()[name].parameters == total - table


def test_the_minilm_row_counts_the_weights_of_the_model() -> None:
    from safetensors import safe_open

    from retrieval.encoders.minilm_graph import model_folder

    with safe_open(model_folder() / "model.safetensors", "numpy") as file:
        layers = [name for name in file.keys() if name.startswith("encoder.")]  # noqa: SIM118
        total = sum(int(file.get_tensor(name).size) for name in layers)
    assert built_in()["minilm"].parameters == total


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"query_template": "{text} {instruction}"}, "must end with"),
        ({"document_template": "{text}{text}"}, "hold it once"),
        ({"pooling": "last", "pool_prefix": False}, "goes with pooling = 'mean' alone"),
        ({"pooling": "unpublished"}, "goes with backends = \\['openai'\\] alone"),
        ({"dimensions": 3}, "Extra inputs are not permitted"),
        ({"backends": []}, "at least 1 item"),
    ],
)
def test_rows_that_cannot_be_run_are_refused(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        with_fields(**fields)
