"""Where the text of a prompt begins: what stands before it is attended to, but not pooled."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

USER = "<|user|>\n"
EMBED = "<|embed|>\n"


def prefix_of(text: str) -> str:
    """The template that `text` begins with, or nothing.

    Queries are ``<|user|>\\n{instruction}\\n<|embed|>\\n{text}`` and documents
    ``<|embed|>\\n{text}``: up to the first marker, and only if the text begins so, for a plain text
    may hold a marker anywhere.
    """
    if text.startswith(EMBED):
        return EMBED
    if text.startswith(USER):
        before, marker, _ = text.partition(EMBED)
        return before + marker if marker else ""
    return ""


class PrefixCounter:
    """Counts the tokens of a prompt that the authors' `encode` leaves out of the mean.

    They count the tokens of the start token and the prefix *alone* (facebookresearch/ReasonIR,
    training/modeling_llama.py, `ReasonIRModel.encode`; GritLM's is the same). The last of them may
    have merged with the text after it, such as ``|>\\n`` with a second newline. So the prefix is
    found in the decoded text and tokenised alone here, too, instead of looking for token ids.

    Args:
        tokenizer: a tokenizer of transformers, the model's.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._count = lru_cache(maxsize=1024)(self._count_alone)

    def __call__(self, ids: Sequence[int]) -> int:
        """How many of the first `ids` of a prompt to leave out.

        0 where the prompt has no prefix, or is cut within it: then its start token is pooled, too.
        """
        start = int(bool(ids) and ids[0] == self._tokenizer.bos_token_id)
        prefix = self._find(ids[start:])
        return start + self._count(prefix) if prefix else 0

    def _find(self, ids: Sequence[int]) -> str:
        """The prefix, from as few tokens as show it: a document need not be decoded whole."""
        size = 16  # no tokenizer spends more on either marker, which have 9 and 10 bytes
        while True:
            text = self._decode(ids[:size])
            prefix = prefix_of(text)
            if prefix or size >= len(ids) or not text.startswith(USER):
                return prefix
            size *= 4

    def _decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, without a last character that they hold only the first bytes of.

        Llama 2's and Mistral's decoder would lose the marker's newline with it: such a decoder
        replaces a whole run of bytes if the run is no valid text.
        """
        text = ""
        for end in range(len(ids), max(len(ids) - 4, 0), -1):  # a character has four bytes at most
            text = self._tokenizer.decode(
                ids[:end], skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
            if not text.endswith("\N{REPLACEMENT CHARACTER}"):
                break
        return text

    def _count_alone(self, prefix: str) -> int:
        return len(self._tokenizer(prefix, add_special_tokens=False)["input_ids"])
