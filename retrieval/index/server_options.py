"""How a Qdrant server keeps, writes and reads collections; None leaves it to the server."""

from dataclasses import dataclass
from typing import Literal

Quantization = Literal["none", "int8", "binary"]
WriteOrdering = Literal["weak", "medium", "strong"]
ReadConsistency = Literal["all", "majority", "quorum"]


@dataclass(frozen=True, slots=True)
class Placement:
    """How new collections are kept.

    Attributes:
        shards: parts that a collection is cut into, None for one a node. In several, terms are
            kept once more and counted over all parts, a request a term of a question; engines count
            idf in each part by itself.
        replicas: copies of each.
        write_consistency: copies that must confirm a write.
        hnsw_m: edges of a passage in the graph of the dense search.
        hnsw_ef_construct: candidates that building the graph compares.
        quantization: of the dense vectors that are searched in memory; hits are scored again by
            the whole vectors, which then lie on disk.
        on_disk: keep vectors, graph and texts on disk, for collections larger than the memory.
        tenants: as parts of one collection that all of the same fingerprint share, for many small
            ones; the rest then holds for the whole. Those that are kept otherwise are not seen.
    """

    shards: int | None = 1
    replicas: int | None = None
    write_consistency: int | None = None
    hnsw_m: int | None = None
    hnsw_ef_construct: int | None = None
    quantization: Quantization = "none"
    on_disk: bool = False
    tenants: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """How collections are read and written
    (https://qdrant.tech/documentation/guides/distributed_deployment).

    Attributes:
        read_consistency: copies that must agree on what is read.
        write_ordering: through whom the writes of several processes go.
        hnsw_ef: candidates that a search of the graph keeps; more find more, later.
    """

    read_consistency: ReadConsistency | None = None
    write_ordering: WriteOrdering | None = None
    hnsw_ef: int | None = None


ONE_SHARD, AS_THE_SERVER_LIKES = Placement(), Access()
