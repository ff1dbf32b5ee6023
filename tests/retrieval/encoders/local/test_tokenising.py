"""Token ids, prefix lengths and cuts against transformers' tokenizer, as the authors call it."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from retrieval.encoders.errors import ModelMismatchError, TextTooLongError
from retrieval.encoders.local.tokenising import Tokeniser
from tests.tiny_models import tiny_llama, tiny_qwen

PREFIXES = ("", "<|embed|>\n", "<|user|>\nGiven a question, find help\n<|embed|>\n")
TEXTS = st.text(min_size=1, max_size=60) | st.sampled_from(
    ["\n", "  leading blanks", "\n\nParagraphs.", "x " * 60, "<|end_of_text|>", "Grüße 数学 🙂"]
)


@given(text=TEXTS, prefix=st.sampled_from(PREFIXES), limit=st.integers(40, 90))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_ids_and_prefix_are_the_authors(
    tiny_reasonir: Path, text: str, prefix: str, limit: int
) -> None:
    authors = AutoTokenizer.from_pretrained(tiny_reasonir)
    expected = authors(prefix + text, truncation=True, max_length=limit).input_ids
    (tokens,) = Tokeniser(tiny_reasonir, pool_prefix=False).tokenise([text], prefix, limit)
    assert tokens.ids == expected
    start = len(authors(prefix).input_ids) if prefix else 0
    assert tokens.start == min(start, len(expected) - 1)
    assert tokens.truncated == (len(authors(prefix + text).input_ids) > limit)


def test_the_text_is_cut_before_the_closing_special_token(tiny_two_way: Path) -> None:
    authors = AutoTokenizer.from_pretrained(tiny_two_way)
    long = "several words and more " * 20
    (tokens,) = Tokeniser(tiny_two_way).tokenise([long], "", 16)
    assert tokens.ids == authors(long, truncation=True, max_length=16).input_ids
    assert tokens.ids[-1] == authors.sep_token_id
    assert tokens == (tokens.ids, 0, True)


@pytest.mark.parametrize("by_tokenizer", [False, True])
def test_the_end_of_text_token_is_last_once_and_is_never_cut(
    tmp_path: Path, by_tokenizer: bool
) -> None:
    tokeniser = Tokeniser(tiny_qwen(tmp_path, eos=by_tokenizer), append_eos=True)
    short, long = tokeniser.tokenise(["short", "long " * 50], "Query: ", 20)
    for tokens in (short, long):
        assert tokens.ids[-1] == 1
        assert tokens.ids.count(1) == 1
    assert (len(long.ids), long.truncated, short.truncated) == (20, True, False)
    assert tokeniser.count("Query: short") == len(short.ids)


def test_a_row_without_it_gets_no_end_of_text_token(tiny_causal: Path) -> None:
    (tokens,) = Tokeniser(tiny_causal).tokenise(["short"], "", 20)
    assert 1 not in tokens.ids


def test_pooling_from_the_first_token_ignores_the_prefix(tiny_reasonir: Path) -> None:
    (tokens,) = Tokeniser(tiny_reasonir).tokenise(["text"], "<|embed|>\n", 20)
    assert tokens.start == 0


def test_a_prefix_that_leaves_no_room_is_refused(tiny_reasonir: Path) -> None:
    tokeniser = Tokeniser(tiny_reasonir)
    taken = tokeniser.count("<|embed|>\n")
    assert len(tokeniser.tokenise(["text"], "<|embed|>\n", taken + 1)[0].ids) == taken + 1
    with pytest.raises(TextTooLongError, match=rf"no room .* {taken} tokens: it takes {taken}"):
        tokeniser.tokenise(["text"], "<|embed|>\n", taken)


def test_a_tokenizer_without_start_token_is_known(tmp_path: Path, tiny_reasonir: Path) -> None:
    broken = Tokeniser(tiny_llama(tmp_path, bos=False))
    assert (broken.bos_id, broken.adds_bos) == (0, False)
    whole = Tokeniser(tiny_reasonir)
    assert (whole.bos_id, whole.adds_bos) == (0, True)


def test_padding_is_as_the_files_say(tiny_causal: Path, tiny_reasonir: Path) -> None:
    assert Tokeniser(tiny_causal).pads_left
    assert not Tokeniser(tiny_reasonir).pads_left
    assert Tokeniser(tiny_reasonir).pad_id == 2


def test_damaged_files_are_named(tmp_path: Path, tiny_reasonir: Path) -> None:
    shutil.copytree(tiny_reasonir, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer_config.json").write_text("{", "utf-8")
    with pytest.raises(ModelMismatchError, match=r"tokenizer_config\.json cannot be read"):
        Tokeniser(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelMismatchError, match="names no end-of-text token"):
        Tokeniser(tmp_path, append_eos=True)
    (tmp_path / "tokenizer.json").write_text("{", "utf-8")
    with pytest.raises(ModelMismatchError, match=r"tokenizer\.json cannot be read"):
        Tokeniser(tmp_path)


def test_special_tokens_may_be_named_in_the_older_way(tmp_path: Path, tiny_reasonir: Path) -> None:
    shutil.copytree(tiny_reasonir, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer_config.json").unlink()
    names = {"bos_token": {"content": "<|begin_of_text|>"}, "eos_token": "<|end_of_text|>"}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(names), "utf-8")
    assert Tokeniser(tmp_path).bos_id == 0


def test_threads_may_share_it_with_different_limits(tiny_reasonir: Path) -> None:
    tokeniser = Tokeniser(tiny_reasonir)
    texts = [f"text number {n} " * 20 for n in range(50)]
    expected = {limit: tokeniser.tokenise(texts, "p ", limit) for limit in (8, 16, 32, 64)}

    def work(limit: int) -> bool:
        return all(tokeniser.tokenise(texts, "p ", limit) == expected[limit] for _ in range(10))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, expected))
