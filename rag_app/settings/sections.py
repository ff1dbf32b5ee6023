"""The settings tree: its sections, and what each setting means.

What is given here is the weakest source of all; `rag_app.settings.loading` puts the others over it.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from data.components import SPLITTERS
from data.registry import Row
from generation.components import CONDENSERS, READERS
from retrieval.components import FUSIONS, RERANKERS, RETRIEVERS, REWRITERS
from retrieval.index.server_options import Quantization, ReadConsistency, WriteOrdering

SECRETS = {"api_key", "password"}
"""Names of the settings that nobody is shown."""
_SECRET = re.compile(r"key|token|password|secret", re.IGNORECASE)

if TYPE_CHECKING:  # a type checker cannot see that these are the names of the rows
    RetrieverName: TypeAlias = str
    FusionName: TypeAlias = str
    CondenserName: TypeAlias = str
    RewriterName: TypeAlias = str
    RerankerName: TypeAlias = str
    ReaderName: TypeAlias = str
else:
    RetrieverName = Literal[*RETRIEVERS]
    FusionName = Literal[*FUSIONS]
    CondenserName = Literal["auto", *CONDENSERS]
    RewriterName = Literal[*REWRITERS]
    RerankerName = Literal[*RERANKERS]
    ReaderName = Literal[*READERS]

_PATH = re.compile(r"[a-zA-Z_][\w.]*:[a-zA-Z_]\w*")


def is_path(name: str) -> bool:
    """Whether a component's name is no row's, but the path ``package.module:Class`` of a class."""
    return bool(_PATH.fullmatch(name))


def _or_path(rows: Mapping[str, Row]) -> AfterValidator:
    """Accepts the names of rows, and dotted paths."""

    def check(name: str) -> str:
        if name not in rows and not is_path(name):
            known = ", ".join(f"'{row}'" for row in rows)
            raise PydanticCustomError(
                "component", "Input should be {known} or package.module:Class", {"known": known}
            )
        return name

    return AfterValidator(check)


_FROM_RERANKER = "; unset: the reranker's own, which `config show` prints."


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Replaceable(_Section):
    """A section whose component may be a class of the user's."""

    options: dict[str, Any] = Field(
        {}, description="Arguments of a class that is named by its path package.module:Class."
    )

    @field_serializer("options", when_used="json")
    def _masked(self, options: dict[str, Any]) -> dict[str, Any]:
        """Keys and passwords are for nobody to read."""
        return {key: "***" if _SECRET.search(key) else value for key, value in options.items()}


class Storage(_Section):
    """Where everything that is kept lies."""

    path: Path = Field(
        Path("storage"), description="Folder of all that is kept: index, original files, models."
    )
    engine: Literal["embedded", "server"] = Field(
        "embedded", description="Qdrant inside this process, or a Qdrant server."
    )
    url: str = Field("http://127.0.0.1:6333", description="Address of the Qdrant server.")
    grpc_port: int = Field(6334, description="gRPC port of the Qdrant server.")
    prefer_grpc: bool = Field(True, description="Use gRPC rather than HTTP for Qdrant.")
    api_key: SecretStr | None = Field(None, description="API key of the Qdrant server.")
    tenants: bool = Field(
        False,
        description="Server: keep collections as parts of one of Qdrant's, for many small ones.",
    )
    timeout: int = Field(30, ge=1, description="Server: seconds that one request may take.")
    shards: int = Field(
        1, ge=1, description="Server: parts a collection is cut into; questions then cost more."
    )
    replicas: int | None = Field(None, ge=1, description="Server: copies of each part.")
    write_consistency: int | None = Field(
        None, ge=1, description="Server: copies that must confirm a write."
    )
    write_ordering: WriteOrdering | None = Field(
        None, description="Server: through whom the writes of several processes go."
    )
    read_consistency: ReadConsistency | None = Field(
        None, description="Server: copies that must agree on what is read."
    )
    hnsw_m: int | None = Field(None, ge=4, description="Server: edges of a passage in the graph.")
    hnsw_ef_construct: int | None = Field(
        None, ge=4, description="Server: candidates compared when the graph is built."
    )
    hnsw_ef: int | None = Field(
        None, ge=1, description="Server: candidates that a search of the graph keeps."
    )
    quantization: Quantization = Field(
        "none", description="Server: form of the dense vectors that are searched in memory."
    )
    on_disk: bool = Field(
        False, description="Server: keep vectors, graph and texts on disk, not in memory."
    )
    min_free_mb: int = Field(
        256,
        ge=0,
        description="Megabytes of the disk that stay free: writes that would take them are refused,"
        " as the embedded store ends the process on a full disk.",
    )
    hnsw_above: int = Field(
        100_000,
        ge=0,
        description="Embedded store: passages above which a command-line ingest builds a graph.",
    )


class EncoderRun(_Section):
    """How a row of the encoder registry is run."""

    backend: Literal["auto", "onnx", "transformers", "vllm", "openai"] = Field(
        "auto", description="What runs the model; `auto` takes the best that the row has."
    )
    model: str = Field("", description="Local folder, or hub id, in place of the row's model.")
    revision: str = Field("", description="Commit of the weights, in place of the row's.")
    instruction: str | None = Field(
        None, description="Instruction of queries; the empty one leaves all templates away."
    )
    task: str = Field("", description="Task whose instruction the row knows, such as `biology`.")
    passage_length: int | None = Field(
        None, ge=2, description="Tokens kept of a passage; unset: as the row says."
    )
    query_length: int | None = Field(
        None, ge=2, description="Tokens kept of a query; unset: as the row says."
    )
    accept_license: bool = Field(
        False, description="Whether the model's restricted licence has been read and accepted."
    )
    precision: Literal["int8", "fp32"] = Field("int8", description="onnx: arithmetic.")
    workers: int = Field(0, ge=0, description="onnx: encoding threads; 0 means one a core.")
    device: str = Field("auto", description="transformers: cpu, cuda, cuda:1, mps or auto.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="transformers: arithmetic; `auto` goes by the device."
    )
    batch_tokens: int = Field(
        16_384, ge=1, description="transformers: tokens that go through the model at once."
    )
    url: str = Field(
        "",
        description="vllm, openai: base address, ending in /v1, or several of one model, apart by"
        " blanks; empty is port 8001 of this machine for vllm, and OpenAI itself for openai.",
    )
    api_key: SecretStr = Field(SecretStr("none"), description="vllm, openai: the server's key.")
    served_name: str = Field("", description="vllm, openai: the model's name at the server.")
    concurrency: int = Field(4, ge=1, le=256, description="vllm, openai: requests in flight.")
    golden: Path | None = Field(
        None, description="vllm, openai: file of `rag-app golden` that vectors are checked against."
    )


class EncoderSettings(EncoderRun, _Replaceable):
    """The model that turns text into dense vectors, and how it is run."""

    name: str = Field("minilm", description="Row of the encoder registry, or package.module:Class.")


class NamedEncoder(EncoderRun):
    """How the row of that name is run whenever it is used; what is not given is as usual."""

    row: dict[str, Any] = Field(
        {}, description="Fields of a row of your own, or that differ in one that ships."
    )

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


class Ingest(_Section):
    """How documents are ingested."""

    engine: Literal["local", "ray"] = Field(
        "local", description="In this process, or on a cluster with Ray."
    )
    hosts: tuple[str, ...] = Field(
        (),
        description="The only hosts that documents are fetched from by their address, of private "
        "networks too; `*.example.org` takes those below it, `*` every public one, as does none.",
    )
    folders: tuple[Path, ...] = Field(
        (),
        description="Folders, with all below, that the page may ingest from; without any, every "
        "one where the application listens on this machine alone, and none elsewhere.",
    )


class Ray(_Section):
    """Where the engine `ray` works."""

    address: str = Field("", description="Cluster to join, or `auto`; empty starts one here.")
    actors: int = Field(1, ge=1, description="Copies of the encoder.")
    cpus_per_actor: float = Field(1, gt=0, description="Processor cores of each copy.")
    gpus_per_actor: float = Field(0, ge=0, description="GPUs of each copy.")
    parsers: int = Field(1, ge=1, description="Documents read at once.")


class Chunking(_Replaceable):
    """How documents are cut into passages."""

    splitter: Annotated[str, _or_path(SPLITTERS)] = Field("blocks", description="What cuts them.")
    tokens: int = Field(200, ge=16, description="Longest passage, in WordPiece tokens.")
    overlap: int = Field(32, ge=0, description="Tokens that neighbouring passages share.")


class Lexical(_Section):
    """BM25's text analysis and parameters."""

    language: str = Field("english", description="Snowball language of the stemmer, or `none`.")
    k1: float = Field(1.2, gt=0, description="Saturation of the term frequency.")
    b: float = Field(0.75, ge=0, le=1, description="Strength of the length normalisation.")
    k3: float = Field(1.5, ge=0, description="Saturation of a term repeated in the query.")
    title_weight: int = Field(2, ge=1, description="How often a term of the headings counts.")
    pair_weight: float = Field(
        0.3, ge=0, description="Weight of a pair of neighbouring terms; 0 keeps no pairs."
    )


class Limits(_Section):
    """What a file may cost before it is refused."""

    file_mb: int = Field(200, gt=0, description="Largest document, in megabytes.")
    stream_mb: int = Field(4096, gt=0, description="Largest JSONL file, in megabytes.")
    pages: int = Field(5000, gt=0, description="Most pages of one document.")
    seconds: float = Field(
        20,
        gt=0,
        description="Processor time for parsing a file, and for splitting it, in seconds; large"
        " files get more.",
    )
    encode_seconds: float = Field(
        1800, gt=0, description="Time for encoding a file, in seconds; large files get more."
    )
    memory_mb: int = Field(2048, gt=0, description="Memory of the parsing process, in megabytes.")
    user_mb: int | None = Field(
        None,
        gt=0,
        description="Documents in the private collections of one user, in megabytes; unbounded"
        " by default.",
    )


class Retrieval(_Replaceable):
    """The retrieve and fuse stages."""

    retriever: Annotated[str, _or_path(RETRIEVERS)] = Field(
        "hybrid", description="How passages are found; `none` is closed-book."
    )
    top_k: int = Field(10, ge=1, le=1000, description="Passages returned by a search.")
    encoder_deadline: float = Field(
        1.5,
        gt=0,
        description="hybrid: seconds that a served encoder has for the question; then BM25 answers"
        " alone.",
    )
    candidates: int = Field(
        100, ge=1, le=10_000, description="Candidates that each side gives to fusion."
    )
    fusion: FusionName = Field("minmax", description="How dense and BM25 results are merged.")
    weight: float = Field(
        0.65, ge=0, le=1, description="Share of the dense side in `minmax` and `minmax-observed`."
    )
    rrf_k: int = Field(60, ge=1, description="Constant of reciprocal rank fusion.")


class StageLLM(_Section):
    """Where a stage's language model differs from that of section `llm`."""

    api_base: str | None = Field(None, description="Base address, ending in /v1.")
    model: str | None = Field(None, description="Model name as the server lists it.")
    api_key: SecretStr | None = Field(None, description="Key that the server expects.")
    context_window: int | None = Field(None, ge=256, description="Context length, in tokens.")


class Condense(_Section):
    """Follow-up question and history -> stand-alone question."""

    kind: CondenserName = Field(
        "auto", description="Which condenser; auto is llm where a model is named, else carry-over."
    )
    deadline: float = Field(20, gt=0, description="Seconds it may take.")
    llm: StageLLM = Field(StageLLM(), description=StageLLM.__doc__ or "")


class Rewrite(_Section):
    """Question -> longer queries."""

    kind: RewriterName = Field("none", description="Which rewriter.")
    tokens: int = Field(512, ge=64, le=2048, description="Length of a rewrite, in tokens.")
    rewrites: int = Field(1, ge=1, le=16, description="How many rewrites of a question.")
    keep_original: bool = Field(True, description="Whether the question itself is searched, too.")
    rounds: int = Field(
        1, ge=1, le=2, description="2 rewrites again, with the passages first found at hand."
    )
    temperature: float = Field(
        0.8, ge=0, le=2, description="Of the sampling: 0.8 as published, 0 is greedy."
    )
    prompt: str = Field(
        "",
        description="llm: prompt with {question}, and {tokens} if it is to say the length, in place"
        " of ours.",
    )
    parts: int = Field(4, ge=2, le=8, description="decompose: most sub-questions.")
    combine: Literal["rrf", "sum", "join"] = Field(
        "rrf",
        description="How the rankings of several queries are merged; `join` makes them one query.",
    )
    deadline: float = Field(30, gt=0, description="Seconds it may take; then the question stands.")
    llm: StageLLM = Field(StageLLM(), description=StageLLM.__doc__ or "")


class Rerank(_Replaceable):
    """Found passages -> better order."""

    kind: Annotated[str, _or_path(RERANKERS)] = Field("none", description="Which reranker.")
    candidates: int = Field(100, ge=1, le=1000, description="Passages that are graded.")
    weight: float | None = Field(
        None, ge=0, le=1, description=f"Share of the grade in the score{_FROM_RERANKER}"
    )
    normalise: Literal["none", "minmax"] | None = Field(
        None, description=f"What is done to the retriever's scores first{_FROM_RERANKER}"
    )
    passage_tokens: int | None = Field(
        None, ge=16, description=f"Tokens of a passage that are graded{_FROM_RERANKER}"
    )
    concurrency: int | None = Field(
        None, ge=1, le=1024, description=f"Grading requests in flight{_FROM_RERANKER}"
    )
    deadline: float | None = Field(
        None, gt=0, description=f"Seconds it may take; what came is kept{_FROM_RERANKER}"
    )
    definition: str = Field(
        "", description="What `relevant` means: a task such as `leetcode`, or your own words."
    )
    template: str = Field(
        "",
        description="qwen-sampled, retro-star: prompt with {query} and {document}, and for"
        " retro-star {definition}, in place of ours.",
    )
    samples: int = Field(
        1, ge=1, le=64, description="retro-star: grades sampled of a passage, and averaged."
    )
    finalists: int | None = Field(
        None,
        ge=1,
        description="retro-star: best passages of a first pass of one sample each, which alone get"
        " `samples`; unset: all do.",
    )
    model: str = Field(
        "",
        description="cross-encoder: run in this process, by name (`ettin-reranker-17m`), folder or"
        " hub id; empty asks the server at `url`.",
    )
    backend: Literal["auto", "transformers", "onnx"] = Field(
        "auto", description="cross-encoder in this process: what runs it."
    )
    url: str = Field(
        "http://127.0.0.1:8002/v1", description="cross-encoder: address of its server."
    )
    llm: StageLLM = Field(StageLLM(), description=StageLLM.__doc__ or "")

    def grading(self) -> dict[str, Any]:
        """What is set of `retrieval.reranking.pointwise.Grading`; the rest is as usual."""
        names = ("weight", "normalise", "passage_tokens", "concurrency", "deadline")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class ReaderSettings(_Replaceable):
    """The stage that answers."""

    kind: Annotated[str, _or_path(READERS)] = Field(
        "quote", description="Quote passages (no LLM), or let an LLM answer."
    )
    passages: int = Field(6, ge=0, le=100, description="Passages handed to the reader.")
    sentences: int = Field(3, ge=1, le=20, description="Sentences the quoting reader shows.")


class LLMSettings(_Section):
    """The OpenAI-compatible server that reads, and whatever other stage names no own one."""

    api_base: str = Field("http://127.0.0.1:8000/v1", description="Base address, ending in /v1.")
    model: str = Field("", description="Model name as the server lists it.")
    api_key: SecretStr = Field(SecretStr("none"), description="Key that the server expects.")
    context_window: int = Field(8192, ge=256, description="Context length of the model, in tokens.")
    max_tokens: int = Field(1024, ge=1, description="Longest answer, in tokens.")
    temperature: float = Field(0.0, ge=0, le=2, description="Sampling temperature.")
    timeout: float = Field(120, gt=0, description="Deadline of one answer, in seconds.")
    concurrency: int = Field(32, ge=1, le=1024, description="Calls that may be under way at once.")
    parameters: float | None = Field(
        None, gt=0, description="Number of weights, for the cost of models that are not known."
    )
    price_input: float | None = Field(
        None, ge=0, description="US dollars for a million tokens that are read; shows what answers"
        " cost, where both prices are set.",
    )  # fmt: skip
    price_output: float | None = Field(
        None, ge=0, description="US dollars for a million tokens that are written."
    )

    def with_model(self, model: str) -> "LLMSettings":
        """The same server's model of that name; of another one, weights and prices are unknown."""
        if model == self.model or not self.model:
            return self.model_copy(update={"model": model})
        unknown = dict.fromkeys(("parameters", "price_input", "price_output"))
        return self.model_copy(update={"model": model, **unknown})


class Server(_Section):
    """The web application."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(7860, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    user: str = Field("admin", description="Name for the log-in where a password is set.")
    password: SecretStr | None = Field(
        None,
        description="An admin's password, of 8 characters or more; addresses but loopback need it"
        " or users.",
    )
    upload_mb: int = Field(200, gt=0, description="Largest file of an upload, in megabytes.")
    concurrent: int = Field(64, ge=1, description="Requests that one user may have under way.")
    data_dir: Path | None = Field(
        None, description="Folder of data sets that the evaluation page may read; none by default."
    )


class AssistantTools(_Section):
    """What other programs' assistants get, over the Model Context Protocol (MCP)."""

    tokens: int = Field(
        4000, ge=500, le=100_000, description="Most tokens that one call of a tool returns."
    )
    collections: tuple[str, ...] = Field(
        (), description="Collections that the tools may see; empty for all."
    )


class Settings(_Section):
    """All settings of the application."""

    recipe: str = Field("", description="Recipe in force; empty for none.")
    collection: str = Field("default", description="Collection used when none is named.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "WARNING", description="Least severe message that is logged on stderr."
    )
    storage: Storage = Field(Storage(), description=Storage.__doc__ or "")
    encoder: EncoderSettings = Field(EncoderSettings(), description=EncoderSettings.__doc__ or "")
    encoders: dict[str, NamedEncoder] = Field({}, description=NamedEncoder.__doc__ or "")
    ingest: Ingest = Field(Ingest(), description=Ingest.__doc__ or "")
    ray: Ray = Field(Ray(), description=Ray.__doc__ or "")
    chunking: Chunking = Field(Chunking(), description=Chunking.__doc__ or "")
    bm25: Lexical = Field(Lexical(), description=Lexical.__doc__ or "")
    limits: Limits = Field(Limits(), description=Limits.__doc__ or "")
    retrieval: Retrieval = Field(Retrieval(), description=Retrieval.__doc__ or "")
    condense: Condense = Field(Condense(), description=Condense.__doc__ or "")
    rewrite: Rewrite = Field(Rewrite(), description=Rewrite.__doc__ or "")
    rerank: Rerank = Field(Rerank(), description=Rerank.__doc__ or "")
    reader: ReaderSettings = Field(ReaderSettings(), description=ReaderSettings.__doc__ or "")
    llm: LLMSettings = Field(LLMSettings(), description=LLMSettings.__doc__ or "")
    server: Server = Field(Server(), description=Server.__doc__ or "")
    mcp: AssistantTools = Field(AssistantTools(), description=AssistantTools.__doc__ or "")


def table_kind(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a section, or of each table of a section that holds named tables."""
    kinds = [field.annotation, *get_args(field.annotation)]
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
