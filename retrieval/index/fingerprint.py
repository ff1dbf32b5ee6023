"""Everything that decides what a stored vector means, in one comparable value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from retrieval.bm25 import BM25
from retrieval.identity import fingerprint

Identity = Mapping[str, str | int | float | bool]
Distance = Literal["cosine", "dot"]
SCHEMA = 1
"""Raised when the payload layout changes in a way that old collections cannot follow."""


@dataclass(frozen=True)
class IndexSpec:
    """What an index is built with; two indexes with one fingerprint hold the same vectors.

    Attributes:
        dimension: length of the dense vectors.
        encoder: the encoder's identity (model, revision, template, pooling, lengths ...).
        chunker: the chunker's identity.
        bm25: the lexical encoder; its identity counts as well.
    """

    dimension: int
    encoder: Identity
    chunker: Identity
    bm25: BM25 = field(compare=False)

    @property
    def identity(self) -> dict[str, dict[str, str | int | float | bool]]:
        """The full, readable identity, part by part."""
        return {
            "schema": {"version": SCHEMA},
            "encoder": {**self.encoder, "dimension": self.dimension},
            "chunker": dict(self.chunker),
            "bm25": dict(self.bm25.identity),
        }

    @property
    def distance(self) -> Distance:
        """How dense vectors are compared: by their dot product where length carries meaning.

        A model whose row says ``normalise = false`` was trained with the dot product; by cosine
        Contriever loses a quarter of its nDCG@10 on BRIGHT (14.9 to 11.1,
        https://github.com/facebookresearch/ReasonIR/issues/15).
        """
        return "dot" if self.encoder.get("normalise") is False else "cosine"

    @cached_property
    def fingerprint(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the identity in canonical JSON."""
        return fingerprint(self.identity)


@dataclass(frozen=True)
class StoredSpec(IndexSpec):
    """The spec of an index that was built elsewhere, maybe with parts that are not at hand.

    An index opened with it can be read and written as it is; texts cannot be added, nor searched.

    Attributes:
        stored: its identity, as `IndexSpec.identity` gave it there.
    """

    stored: Mapping[str, Identity] = field(default_factory=dict, kw_only=True)

    @classmethod
    def of(cls, identity: Mapping[str, Identity], bm25: BM25) -> "StoredSpec":
        """From an identity; `bm25` stands in for the one it was built with.

        Raises:
            ValueError: a part is missing.
        """
        try:
            encoder, chunker = dict(identity["encoder"]), identity["chunker"]
            dimension = int(encoder.pop("dimension"))
        except KeyError as error:
            raise ValueError(f"the identity of an index lacks {error}") from None
        return cls(dimension, encoder, chunker, bm25, stored=identity)

    @property
    def identity(self) -> dict[str, dict[str, str | int | float | bool]]:
        """See `IndexSpec.identity`."""
        return {part: dict(keys) for part, keys in self.stored.items()}


def differences(stored: Mapping[str, Identity], wanted: Mapping[str, Identity]) -> list[str]:
    """Lines such as ``encoder.model_id: stored 'a', wanted 'b'``, sorted."""
    flat_stored, flat_wanted = _flat(stored), _flat(wanted)
    keys = sorted(flat_stored.keys() | flat_wanted.keys())
    return [
        f"{key}: stored {flat_stored.get(key)!r}, wanted {flat_wanted.get(key)!r}"
        for key in keys
        if flat_stored.get(key) != flat_wanted.get(key)
    ]


def _flat(identity: Mapping[str, Identity]) -> dict[str, str | int | float | bool]:
    return {f"{part}.{key}": keys[key] for part, keys in identity.items() for key in keys}
