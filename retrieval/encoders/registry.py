"""The registry of encoders: one frozen row says everything that decides a model's vectors."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from retrieval.encoders.errors import UnknownEncoderError

Pooling = Literal["mean", "cls", "last"]


class EncoderRow(BaseModel):
    """One embedding model as published: where it is, and how text becomes a vector.

    `parameters` counts the weights that multiply every token (embedding tables are look-ups
    and do no arithmetic), the N of ``FLOPs = 2 N`` per token (Kaplan et al. 2020, table 1,
    https://arxiv.org/abs/2001.08361).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(min_length=1, description="name in settings, for instance minilm")
    model_id: str = Field(min_length=1, description="name at the place that publishes the weights")
    revision: str = Field(description="commit or digest of the weights")
    dimension: int = Field(gt=0, description="length of a vector")
    max_length: int = Field(gt=0, description="tokens kept of a text, special tokens included")
    query_template: str = Field(default="{text}", description="a query, with {text} in its place")
    document_template: str = Field(default="{text}", description="a passage, likewise")
    pooling: Pooling = Field(description="how the vectors of tokens become one")
    causal: bool = Field(description="whether a token sees only those before it")
    normalise: bool = Field(description="whether vectors are scaled to unit length")
    licence: str = Field(description="SPDX name of the licence of the weights")
    parameters: int = Field(gt=0, description="non-embedding parameters")
    source: str = Field(description="address of the paper or model card")


_ROWS = (
    EncoderRow(
        name="minilm",
        model_id="sentence-transformers/all-MiniLM-L6-v2",
        revision="sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        dimension=384,
        max_length=256,
        pooling="mean",
        causal=False,
        normalise=True,
        licence="Apache-2.0",
        # 6 layers x (4 (384² + 384) attention + 2 (384 x 1536) + 1536 + 384 + 2 x 768)
        parameters=10_646_784,
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
    ),
)

BUILT_IN: Mapping[str, EncoderRow] = MappingProxyType({row.name: row for row in _ROWS})
"""The rows that ship, by name."""


def row(name: str, extra: Iterable[EncoderRow] = ()) -> EncoderRow:
    """The row called `name`; rows in `extra` (a user's own) win over those that ship.

    Raises:
        UnknownEncoderError: no row has that name; the message lists the names there are.
    """
    known = {**BUILT_IN, **{one.name: one for one in extra}}
    if name not in known:
        raise UnknownEncoderError(
            f"there is no encoder named {name!r}",
            cause=f"the known encoders are {', '.join(sorted(known))}",
            way_out="Choose one of them, or add a row for yours to the settings file",
        )
    return known[name]
