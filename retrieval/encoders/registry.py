"""The registry of encoders: one frozen row says everything that decides a model's vectors.

The rows that ship are in `rows.toml`; a user's own have the same fields in the settings file.
"""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from retrieval import published
from retrieval.encoders.errors import UnknownEncoderError

Pooling = Literal["mean", "cls", "last", "unpublished"]
"""`unpublished` goes with services that keep it to themselves; nothing here can run such a row."""
Backend = Literal["onnx", "transformers", "vllm", "openai", "class"]
"""`class` is a LlamaIndex embedding of anyone's, which has no row of its own."""


class EncoderRow(BaseModel):
    """One embedding model as published: where it is, and how text becomes a vector.

    `parameters` counts the weights that multiply every token (embedding tables are look-ups
    and do no arithmetic), the N of ``FLOPs = 2 N`` per token (Kaplan et al. 2020, table 1,
    https://arxiv.org/abs/2001.08361); 0 where it is not published.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(min_length=1, description="name in settings, for instance minilm")
    model_id: str = Field(min_length=1, description="name at the place that publishes the weights")
    revision: str = Field("main", description="commit or digest of the weights")
    dimension: int = Field(gt=0, description="length of a vector")
    passage_length: int = Field(2048, gt=0, description="tokens kept of a passage, all included")
    query_length: int = Field(8192, gt=0, description="tokens kept of a query, all included")
    query_template: str = Field(
        "{text}", description="a query: {instruction} where there is one, and {text} last"
    )
    document_template: str = Field("{text}", description="a passage, with {text} last")
    plain_template: str = Field("{text}", description="both, where the instruction is set to ''")
    instruction: str = Field("", description="instruction of queries where no task is named")
    instructions: Mapping[str, str] = Field({}, description="instruction of queries by task")
    pooling: Pooling = Field(description="how the vectors of tokens become one")
    pool_prefix: bool = Field(
        True, description="whether the start token and what stands before {text} are pooled, too"
    )
    append_eos: bool = Field(
        False, description="whether the end-of-text token is put last if the tokenizer does not"
    )
    causal: bool = Field(description="whether a token sees only those before it")
    normalise: bool = Field(True, description="whether vectors are scaled to unit length")
    backends: tuple[Backend, ...] = Field(
        ("transformers", "vllm", "openai"), min_length=1, description="what can run it, best first"
    )
    licence: str = Field(description="SPDX name of the licence of the weights, or its own name")
    restricted: bool = Field(False, description="whether the licence must be accepted first")
    parameters: int = Field(0, ge=0, description="non-embedding parameters; 0 is unpublished")
    bright: float | None = Field(
        None, description="published mean nDCG@10 on BRIGHT, original queries, in percent"
    )
    bright_source: str = Field("", description="where that number is published")
    source: str = Field("", description="address of the paper or model card")

    @field_validator("query_template", "document_template", "plain_template")
    @classmethod
    def _text_last(cls, template: str) -> str:
        """The text is all that is pooled of most instructed models, so a prefix must suffice."""
        if template.count("{text}") != 1 or not template.endswith("{text}"):
            raise ValueError("the template must end with {text}, and hold it once")
        return template

    @model_validator(mode="after")
    def _prefix_of_the_mean_only(self) -> "EncoderRow":
        if not self.pool_prefix and self.pooling != "mean":
            raise ValueError("pool_prefix = false goes with pooling = 'mean' alone")
        return self

    @model_validator(mode="after")
    def _known_where_run_here(self) -> "EncoderRow":
        if self.pooling == "unpublished" and set(self.backends) not in ({"openai"}, {"class"}):
            raise ValueError("pooling = 'unpublished' goes with backends = ['openai'] alone")
        return self

    def query_prefix(self, instruction: str | None = None) -> str:
        """What stands before a query.

        Args:
            instruction: None takes the row's own; the empty string leaves the template away.
        """
        if instruction == "":
            return _prefix(self.plain_template)
        chosen = self.instruction if instruction is None else instruction
        return _prefix(self.query_template).replace("{instruction}", chosen)

    def passage_prefix(self, instruction: str | None = None) -> str:
        """What stands before a passage; the empty instruction leaves the template away."""
        return _prefix(self.plain_template if instruction == "" else self.document_template)


def _prefix(template: str) -> str:
    return template.removesuffix("{text}")


@cache
def built_in() -> Mapping[str, EncoderRow]:
    """The rows that ship, by name."""
    text = (resources.files("retrieval.encoders") / "rows.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    shared = tables.pop("instructions")
    rows = {}
    for name, fields in tables.items():
        table = fields.pop("instructions", None)
        instructions = {} if table is None else shared[table]
        number = published.of_encoder(name)
        if number:
            fields["bright"], fields["bright_source"] = number
        rows[name] = EncoderRow(name=name, instructions=instructions, **fields)
    return MappingProxyType(rows)


def row(name: str, extra: Iterable[EncoderRow] = ()) -> EncoderRow:
    """The row called `name`; rows in `extra` (a user's own) win over those that ship.

    Raises:
        UnknownEncoderError: no row has that name; the message lists the names there are.
    """
    known = {**built_in(), **{one.name: one for one in extra}}
    if name not in known:
        raise UnknownEncoderError(
            f"there is no encoder named {name!r}",
            cause=f"the known encoders are {', '.join(sorted(known))}",
            hint="Choose one of them, or add a row for yours to the settings file",
        )
    return known[name]
