"""Where texts begin, for tokenizers that merge a prefix's end with the text after it."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.encoders.registry import row

REPOSITORY = Path(__file__).resolve().parents[3]
WORDS = "An instruction <|user|>\n for <|embed|>\n\n texts.\n<|embed|>\nthat|>\n\nbegin|>\n \n"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    """The plugin is no package of ours: it is installed beside vLLM."""
    path = REPOSITORY / "retrieval/vllm_plugin/src/rag_app_vllm/prefix.py"
    spec = importlib.util.spec_from_file_location("prefix", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def llama_tokenizer() -> Any:
    """Cuts before merging as Llama 3's does: signs and the newlines after them are one piece."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    pieces = Regex(
        r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pieces, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([WORDS] * 4, trainer)
    return _finish(tokenizer)


def mistral_tokenizer() -> Any:
    """SentencePiece's way: blanks are signs, one is put first, and unknown signs are bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers

    known = [
        "<unk>",
        "<s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *sorted(set(WORDS) - {"\n", " "}),
    ]
    known += ["▁", "em", "bed", "embed", "us", "er", "user", "|>", "<|"]
    merges = [("e", "m"), ("b", "e"), ("u", "s"), ("e", "r"), ("us", "er"), ("|", ">"), ("<", "|")]
    vocabulary = {piece: index for index, piece in enumerate([*known, "be"])}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return _finish(tokenizer)


def _finish(tokenizer: Any) -> Any:
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    start = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", start)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>")


@pytest.fixture(scope="module")
def llama() -> Any:
    return llama_tokenizer()


@pytest.fixture(scope="module", params=[llama_tokenizer, mistral_tokenizer])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return request.param()


def ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text)["input_ids"]
    return found


@given(instruction=TEXT, text=TEXT)
def test_a_querys_prefix_counts_as_tokenised_alone(
    plugin: ModuleType, tokenizer: Any, instruction: str, text: str
) -> None:
    prefix = row("reasonir-8b").query_prefix(instruction)
    found = plugin.PrefixCounter(tokenizer)(ids(tokenizer, prefix + text))
    assert found == len(ids(tokenizer, prefix))


@given(text=TEXT | st.sampled_from(["\n\nA", " \n", "  a", "<|embed|>\nb", "|>\n\n"]))
def test_a_passages_prefix_counts_as_tokenised_alone(
    plugin: ModuleType, tokenizer: Any, text: str
) -> None:
    prefix = row("reasonir-8b").passage_prefix()
    found = plugin.PrefixCounter(tokenizer)(ids(tokenizer, prefix + text))
    assert found == len(ids(tokenizer, prefix))


@pytest.mark.parametrize(
    "text", ["", "a", "a <|embed|>\nb", " <|embed|>\nb", "<|user|>\na", "<|embed|>"]
)
def test_a_text_that_begins_otherwise_is_pooled_whole(
    plugin: ModuleType, tokenizer: Any, text: str
) -> None:
    assert plugin.PrefixCounter(tokenizer)(ids(tokenizer, text)) == 0


def test_the_last_token_of_a_prefix_may_be_the_texts_too(plugin: ModuleType, llama: Any) -> None:
    alone, merged = ids(llama, "<|embed|>\n"), ids(llama, "<|embed|>\n\nA text")
    assert merged[: len(alone)] != alone
    assert plugin.PrefixCounter(llama)(merged) == len(alone)


def test_a_long_instruction_is_found(plugin: ModuleType, tokenizer: Any) -> None:
    prefix = row("reasonir-8b").query_prefix("an instruction " * 200)
    found = plugin.PrefixCounter(tokenizer)(ids(tokenizer, prefix + "a text"))
    assert found == len(ids(tokenizer, prefix))


def test_a_prompt_cut_within_a_character_keeps_its_prefix(
    plugin: ModuleType, tokenizer: Any
) -> None:
    alone, whole = ids(tokenizer, "<|embed|>\n"), ids(tokenizer, "<|embed|>\n" + "🙂" * 9)
    for end in range(len(alone), len(whole) + 1):
        assert plugin.PrefixCounter(tokenizer)(whole[:end]) == len(alone)


def test_without_a_start_token_none_is_counted(plugin: ModuleType, tokenizer: Any) -> None:
    bare = tokenizer("<|embed|>\na", add_special_tokens=False)["input_ids"]
    assert plugin.PrefixCounter(tokenizer)(bare) == len(ids(tokenizer, "<|embed|>\n")) - 1


def test_only_the_first_marker_ends_a_querys_prefix(plugin: ModuleType) -> None:
    assert plugin.prefix_of("<|user|>\na\n<|embed|>\nb<|embed|>\nc") == "<|user|>\na\n<|embed|>\n"
