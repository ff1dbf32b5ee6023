"""What 10 million to 10 billion passages would need: arithmetic, no measurement.

    .venv/bin/python -m benchmarks.scale_cost [--dimension 384] [--tokens-a-second 36000] ...

Every number that goes in is a flag with a default, and is printed; docs/scaling.md says where each
default comes from. Sizes are of Qdrant servers as `rag-app` fills them (float16 vectors).
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from benchmarks.common import table

GB = 1e9
HOURS_A_MONTH = 730
NUMBER_BYTES = {"none": 2.0, "int8": 1.0, "binary": 1 / 8}
"""Of the vectors that are searched in memory, by `storage.quantization`."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is put in.

    Attributes:
        dimension: numbers of a vector.
        tokens: of a passage, as the encoder reads it.
        tokens_a_second: of one GPU's encoder.
        gpus: that encode side by side.
        gpu_dollars: an hour of one.
        text_bytes: of a passage's text and metadata, on disk.
        terms: distinct words of a passage, 8 bytes each in the sparse index, and 8 more each where
            there are several shards.
        links: of a passage in the graph, 4 bytes each (twice HNSW's m).
        node_gb: memory of a node.
        node_share: of it that data may fill.
        node_dollars: a node's month.
        disk_dollars: a month of a GB of fast disk.
        replicas: copies of everything.
    """

    dimension: int = 4096
    tokens: int = 200
    tokens_a_second: float = 36_000
    gpus: int = 8
    gpu_dollars: float = 3.0
    text_bytes: int = 1_500
    terms: int = 60
    links: int = 32
    node_gb: float = 256
    node_share: float = 0.7
    node_dollars: float = 1_500
    disk_dollars: float = 0.1
    replicas: int = 2


@dataclass(frozen=True, slots=True)
class Need:
    """What comes out, for one number of passages and one quantisation; money is in dollars.

    Attributes:
        memory_gb: vectors that are searched, graph and sparse index, all copies.
        disk_gb: whole vectors, texts, sparse index and graph, all copies.
        nodes: that hold this in memory.
        shards: of one copy, one a node.
        gpu_hours: of encoding all once.
        days: that takes with `Assumptions.gpus`.
        encoding: money for it, once.
        month: money for nodes and disks.
    """

    memory_gb: float
    disk_gb: float
    nodes: int
    shards: int
    gpu_hours: float
    days: float
    encoding: float
    month: float


def need(passages: float, quantization: str, given: Assumptions) -> Need:
    """The arithmetic."""
    graph = 4 * given.links
    one_node = given.node_gb * given.node_share * GB
    searched = NUMBER_BYTES[quantization] * given.dimension
    one_copy = passages * (searched + graph + 8 * given.terms)
    shards = math.ceil(one_copy / one_node)
    if shards > 1:  # the numbers of the terms, see decision 18
        one_copy += passages * 8 * given.terms
        shards = math.ceil(one_copy / one_node)
    kept = 0.0 if quantization == "none" else NUMBER_BYTES["none"] * given.dimension
    on_disk = one_copy + passages * (kept + given.text_bytes)
    nodes = shards * given.replicas
    gpu_hours = passages * given.tokens / given.tokens_a_second / 3600
    disk_gb = given.replicas * on_disk / GB
    return Need(
        memory_gb=given.replicas * one_copy / GB,
        disk_gb=disk_gb,
        nodes=nodes,
        shards=shards,
        gpu_hours=gpu_hours,
        days=gpu_hours / given.gpus / 24,
        encoding=gpu_hours * given.gpu_dollars,
        month=nodes * given.node_dollars + disk_gb * given.disk_dollars,
    )


def rows(given: Assumptions, numbers: Sequence[float]) -> list[list[str]]:
    """One a number of passages and quantisation."""
    made = []
    for passages in numbers:
        for quantization in NUMBER_BYTES:
            one = need(passages, quantization, given)
            made.append([
                f"{passages / 1e6:,.0f} M", quantization, f"{one.memory_gb:,.0f}",
                f"{one.disk_gb:,.0f}", f"{one.shards:,}", f"{one.nodes:,}",
                f"{one.gpu_hours:,.0f}", f"{one.days:,.1f}", f"{one.encoding:,.0f}",
                f"{one.month:,.0f}",
            ])  # fmt: skip
    return made


HEAD = (
    "passages", "quantisation", "memory GB", "disk GB", "shards", "nodes", "GPU hours", "days",
    "encoding $", "a month $",
)  # fmt: skip
PASSAGES = (10e6, 1e9, 10e9)


def main() -> None:
    """Print what is assumed, and the table."""
    parser = argparse.ArgumentParser(description="What many passages would need")
    for one in fields(Assumptions):
        kind = type(one.default)
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, default=one.default)
    given = Assumptions(**vars(parser.parse_args()))
    print(", ".join(f"{name} {value:g}" for name, value in asdict(given).items()), end="\n\n")
    table(HEAD, rows(given, PASSAGES))


if __name__ == "__main__":
    main()
