"""Golden vectors: what an encoder gave where its weights were known to be run rightly.

A server gives vectors of the right length even when its attention mask, its pooling or a template
is wrong, and searches then find badly without any error. Only vectors of the same model from
somewhere else can tell. They are kept as JSON, with the texts and all that decides about them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, field_validator

from retrieval.encoders.base import Encoder, Vectors
from retrieval.encoders.errors import ModelMismatchError, ModelMissingError
from retrieval.encoders.prompted import PromptedEncoder

THRESHOLD = 0.999
"""Lowest cosine that counts as the same model.

Measured with real vLLM servers: float32 agrees to 1 - 1e-7 and bfloat16 to 0.9997, while the
instruction in the mean gives 0.50 to 0.998, a causal mask 0.44 to 0.96 and another pooling 0.26 to
0.74. Quantised weights may fall below; their vectors do not belong with those of the full model.
"""

Kind = Literal["query", "passage"]
_DECIDES = (
    "encoder", "model", "revision", "dimension",
    "query_template", "document_template", "max_length",
)  # fmt: skip
_PROBES = (
    "entropy",
    "What is the difference between a virus and a bacterium?",
    "The bakers of the old town began at two in the morning. By five the first loaves, 1,240 in a "
    "week, lay on the boards; by seven they were gone. When the mill closed in 1931 they bought "
    "their flour from across the river, paid more for it, and complained about it to everyone.",
    "\nA note that begins with a line feed.\n\n\tIts second paragraph is indented.",
    "Zürich, Αθήνα, Москва, 東京, القاهرة and 🌍: naïve café, e\u0301 and ﬁ.",
    "def area(r: float) -> float:\n    return 3.14159 * r ** 2  # m\u00b2\n",
    "<|user|>\nWords that look like a template.\n<|embed|>\nAnd what follows.",
)


class Sample(BaseModel):
    """A text and its vector.

    Attributes:
        vector: little-endian float32 [dimension]; base64 in the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    text: str
    vector: Base64Bytes


class Golden(BaseModel):
    """Vectors of one encoder.

    Attributes:
        instruction: of the queries; None is the row's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["rag-app golden vectors 1"] = "rag-app golden vectors 1"
    identity: dict[str, str | int | float | bool]
    instruction: str | None = None
    samples: tuple[Sample, ...] = Field(min_length=1)

    @field_validator("samples")
    @classmethod
    def _of_one_length(cls, samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        lengths = {len(sample.vector) for sample in samples}
        if len(lengths) != 1 or min(lengths) % 4 or not min(lengths):
            raise ValueError("the vectors are not of one length")
        return samples

    def save(self, path: Path) -> None:
        """Write it as JSON, which `load` reads."""
        path.write_text(self.model_dump_json(indent=1) + "\n", "utf-8")


def make(encoder: Encoder) -> Golden:
    """The golden vectors of an encoder that is known to be right, with its present instruction.

    Short and long texts, other scripts, line feeds in front, markers of templates, and a passage
    that is longer than the encoder reads.

    Raises:
        EncoderError: the encoder fails.
    """
    limit = int(encoder.identity.get("max_length", 0))
    too_long = " ".join(f"{number} times" for number in range(limit))
    texts = {"query": _PROBES, "passage": (*_PROBES, too_long) if limit else _PROBES}
    samples = [
        Sample(kind=kind, text=text, vector=_base64(vector))
        for kind in ("query", "passage")
        for text, vector in zip(texts[kind], _vectors(encoder, kind, texts[kind]), strict=True)
    ]
    instruction = encoder.instruction if isinstance(encoder, PromptedEncoder) else None
    return Golden(identity=encoder.identity, instruction=instruction, samples=tuple(samples))


def load(path: Path) -> Golden:
    """Read a file of `Golden.save`.

    Raises:
        ModelMissingError: there is no such file.
        ModelMismatchError: it holds something else.
    """
    try:
        return Golden.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelMissingError(
            f"golden vectors cannot be read from {path}",
            cause=error.strerror or str(error),
            hint="Make them with `rag-app golden`, or correct encoder.golden",
        ) from error
    except ValidationError as error:
        raise ModelMismatchError(
            f"{path} does not hold golden vectors",
            cause=error.errors()[0]["msg"],
            hint="Make them again with `rag-app golden`",
        ) from error


def check(encoder: Encoder, golden: Golden, threshold: float = THRESHOLD) -> float:
    """The lowest cosine between golden vectors and those that the encoder gives for their texts.

    An encoder with another instruction is tried with that of the golden vectors. Weights of a local
    folder and weights that are named by a revision may be the same: there the vectors alone decide.

    Raises:
        ModelMismatchError: the golden vectors are those of another row, revision, template or
            length, or a cosine is below the threshold; names the worst text.
        EncoderError: the encoder fails.
    """
    _refuse_another(encoder, golden)
    if isinstance(encoder, PromptedEncoder):
        encoder = encoder.model_copy(update={"instruction": golden.instruction})
    worst, lowest = golden.samples[0], 2.0
    kinds: tuple[Kind, ...] = ("query", "passage")
    for kind in kinds:
        samples = [sample for sample in golden.samples if sample.kind == kind]
        if not samples:
            continue
        expected = np.stack([np.frombuffer(sample.vector, "<f4") for sample in samples])
        given = _vectors(encoder, kind, [each.text for each in samples])
        cosines = np.nan_to_num(cosine(given, expected), nan=-1)
        if cosines.min() < lowest:
            worst, lowest = samples[int(cosines.argmin())], float(cosines.min())
    if lowest < threshold:
        raise ModelMismatchError(
            f"encoder {encoder.row.name} does not give its golden vectors",
            cause=f"the {worst.kind} {_shown(worst.text)} has cosine {lowest:.4f} with its own, "
            f"less than {threshold}; likely the attention mask is causal, the instruction is in "
            "the mean, or pooling, template or weights are others",
            hint="Serve it by the command of `rag-app serve-command`",
        )
    return lowest


def cosine(one: Vectors, other: Vectors) -> Any:
    """Cosine of each pair of rows, in float64: [n] from [n, dimension] twice."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    norms = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return (one * other).sum(axis=-1) / norms


def _refuse_another(encoder: Encoder, golden: Golden) -> None:
    for name in _DECIDES:
        ours, theirs = encoder.identity.get(name), golden.identity.get(name)
        of_a_folder = [str(one).startswith("local:") for one in (ours, theirs)]
        if ours != theirs and not (
            name == "revision" and any(of_a_folder) and not all(of_a_folder)
        ):
            raise ModelMismatchError(
                f"the golden vectors are not those of encoder {encoder.row.name} as it is set",
                cause=f"their {name} is {theirs!r}, and here it is {ours!r}",
                hint="Make them with `rag-app golden` and the same settings",
            )


def _vectors(encoder: Encoder, kind: Kind, texts: Sequence[str]) -> Vectors:
    encode = encoder.encode_queries if kind == "query" else encoder.encode_passages
    return encode(texts).vectors


def _base64(vector: Vectors) -> bytes:
    import base64

    return base64.b64encode(vector.astype("<f4").tobytes())


def _shown(text: str) -> str:
    words = " ".join(text.split())
    return repr(words if len(words) <= 40 else f"{words[:40]}...")
