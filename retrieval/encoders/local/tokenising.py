"""From texts to token ids, cut and marked as the authors of a model do.

The reference is `ReasonIRModel.encode` (facebookresearch/ReasonIR, training/modeling_llama.py):
prefix and text are tokenised as one string, with special tokens and cut on the right, while the
tokens of the prefix are counted on the prefix alone, with its special tokens. The two may differ
where a token spans the border; the count is the authors', and no text is stripped.

The prefix is counted once. That it is run through the model with every text cannot be helped: in a
bidirectional model its states depend on the text that follows.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from retrieval.encoders.errors import ModelMismatchError, TextTooLongError


class Tokens(NamedTuple):
    """One text as the model reads it.

    Attributes:
        ids: prefix and text, special tokens included; at most the limit.
        start: the first token that is pooled.
        truncated: whether the end of the text was cut off.
    """

    ids: list[int]
    start: int
    truncated: bool


class Tokeniser:
    """Tokenises with the `tokenizer.json` of a checkpoint; may be shared by threads.

    The file is used as it is, without transformers' wrappers, whose classes change it by name and
    whose truncation is a state that threads would share.

    Args:
        folder: holds tokenizer.json, and tokenizer_config.json if special tokens are needed.
        pool_prefix: whether pooling begins with the first token rather than after the prefix.
        append_eos: whether the end-of-text token stands last if the tokenizer itself puts none.

    Raises:
        ModelMismatchError: the files are unreadable, or name no end-of-text token that is needed.
    """

    def __init__(self, folder: Path, *, pool_prefix: bool = True, append_eos: bool = False) -> None:
        from tokenizers import Tokenizer

        self._names = _names(folder)
        try:
            self._tokenizer = Tokenizer.from_buffer((folder / "tokenizer.json").read_bytes())
        except ValueError as error:
            raise _unreadable(folder / "tokenizer.json", error) from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        marks = self._tokenizer.encode("a").special_tokens_mask
        self._tail = marks[::-1].index(0)  # special tokens after the text
        self._pool_prefix = pool_prefix
        self._starts: dict[str, int] = {}
        self._eos: int | None = None
        if append_eos and not self._tail:
            self._eos = self._id("eos_token")
            if self._eos is None:
                raise ModelMismatchError(
                    f"the tokenizer in {folder} cannot end a text",
                    cause="it names no end-of-text token, which this model needs last",
                    hint="Get tokenizer_config.json as it was published",
                )

    @property
    def bos_id(self) -> int | None:
        """The start token that the files declare; None where they declare none."""
        return None if self._names.get("add_bos_token") is False else self._id("bos_token")

    @property
    def adds_bos(self) -> bool:
        """Whether a text really begins with the declared start token."""
        return self._tokenizer.encode("a").ids[0] == self.bos_id

    @property
    def pad_id(self) -> int:
        """Fills up a batch; masked, so any id does where the files name none."""
        return self._id("pad_token") or 0

    @property
    def pads_left(self) -> bool:
        """Whether the files ask for padding in front of the texts."""
        return bool(self._names.get("padding_side") == "left")

    def count(self, text: str) -> int:
        """Tokens of `text`, special tokens included, uncut."""
        return len(self._tokenizer.encode(text).ids) + (self._eos is not None)

    def tokenise(self, texts: Sequence[str], prefix: str, limit: int) -> list[Tokens]:
        """Tokenise ``prefix + text`` for each text.

        Raises:
            TextTooLongError: the prefix leaves no room for a text.
        """
        start = self._start(prefix)
        if start + self._tail + (self._eos is not None) >= limit:
            raise TextTooLongError(
                f"the instruction leaves no room for a text within {limit} tokens",
                cause=f"it takes {start} tokens itself",
                hint="Shorten the instruction, or raise the length",
            )
        pooled_from = 0 if self._pool_prefix else start
        encodings = self._tokenizer.encode_batch_fast([prefix + text for text in texts])
        return [self._cut(encoding.ids, pooled_from, limit) for encoding in encodings]

    def _start(self, prefix: str) -> int:
        """Tokens of the prefix alone with the start token; no prefix leaves that to be pooled."""
        if prefix not in self._starts:
            alone = self._tokenizer.encode(prefix).ids if prefix else []
            self._starts[prefix] = max(0, len(alone) - self._tail)
        return self._starts[prefix]

    def _cut(self, ids: list[int], start: int, limit: int) -> Tokens:
        """At most `limit` ids; the special tokens after the text are kept, as truncation does."""
        if self._eos is not None:
            ids.append(self._eos)
        tail = self._tail + (self._eos is not None)
        truncated = len(ids) > limit
        if truncated:
            ids = ids[: limit - tail] + ids[len(ids) - tail :]
        # A token that spans the border can swallow a text of one letter: it is all there is of it.
        return Tokens(ids, min(start, len(ids) - 1), truncated)

    def _id(self, name: str) -> int | None:
        token = self._names.get(name)
        content = token.get("content") if isinstance(token, Mapping) else token
        found: int | None = self._tokenizer.token_to_id(content) if content else None
        return found


def _names(folder: Path) -> Mapping[str, Any]:
    """What tokenizer_config.json says; older checkpoints name tokens in a file of their own."""
    names: dict[str, Any] = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        path = folder / file
        if not path.is_file():
            continue
        try:
            names |= json.loads(path.read_text("utf-8"))
        except (ValueError, TypeError) as error:
            raise _unreadable(path, error) from None
    return names


def _unreadable(path: Path, error: Exception) -> ModelMismatchError:
    return ModelMismatchError(
        f"{path} cannot be read", cause=str(error), hint="Get the file as it was published"
    )
