"""A real loopback gRPC server that answers the Qdrant client from a script.

It speaks no HTTP, so a client of it that prefers gRPC shows whether a call goes that way.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from qdrant_client import grpc as qdrant

from tests.retrieval.index.places import DIMENSION

_DONE = qdrant.PointsOperationResponse(
    result=qdrant.UpdateResult(operation_id=1, status=qdrant.UpdateStatus.Completed)
)
_VECTORS = qdrant.VectorsConfig(
    params_map=qdrant.VectorParamsMap(
        map={"dense": qdrant.VectorParams(size=DIMENSION, distance=qdrant.Distance.Cosine)}
    )
)
_SPARSE = qdrant.SparseVectorConfig(
    map={"bm25": qdrant.SparseVectorParams(modifier=qdrant.Modifier.Idf)}
)
_COLLECTION = qdrant.CollectionInfo(
    status=qdrant.CollectionStatus.Green,
    optimizer_status=qdrant.OptimizerStatus(ok=True),
    config=qdrant.CollectionConfig(
        params=qdrant.CollectionParams(
            shard_number=1, vectors_config=_VECTORS, sparse_vectors_config=_SPARSE
        ),
        hnsw_config=qdrant.HnswConfigDiff(m=16, ef_construct=100, full_scan_threshold=10_000),
        optimizer_config=qdrant.OptimizersConfigDiff(
            deleted_threshold=0.2,
            vacuum_min_vector_number=1000,
            default_segment_number=0,
            flush_interval_sec=5,
        ),
        wal_config=qdrant.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0),
    ),
)
ANSWERS: dict[str, Any] = {
    "Points/Upsert": _DONE,
    "Points/UpdateVectors": _DONE,
    "Points/Delete": _DONE,
    "Points/CreateFieldIndex": _DONE,
    "Points/QueryBatch": qdrant.QueryBatchResponse(result=[qdrant.BatchResult()]),
    "Points/Count": qdrant.CountResponse(result=qdrant.CountResult(count=3)),
    "Collections/CollectionExists": qdrant.CollectionExistsResponse(
        result=qdrant.CollectionExists(exists=True)
    ),
    "Collections/Get": qdrant.GetCollectionInfoResponse(result=_COLLECTION),
    "Collections/Create": qdrant.CollectionOperationResponse(result=True),
    "Collections/UpdateAliases": qdrant.CollectionOperationResponse(result=True),
}
"""What is not here is answered with an empty message of whatever type is expected."""


@dataclass
class GrpcScript:
    """What the server does, and what it was asked.

    Attributes:
        failures: codes that answer the first requests, one each; then all succeed.
        retry_after: seconds that a failure asks for, if above 0.
        requests: (service and method, message as it came).
    """

    port: int = 0
    failures: list[grpc.StatusCode] = field(default_factory=list)
    retry_after: int = 0
    requests: list[tuple[str, bytes]] = field(default_factory=list)

    def bodies(self, method: str) -> list[bytes]:
        return [body for called, body in self.requests if called == method]


class _Scripted(grpc.GenericRpcHandler):
    def __init__(self, script: GrpcScript) -> None:
        self._script = script

    def service(self, details: Any) -> Any:
        method = details.method.removeprefix("/qdrant.")

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self._script.requests.append((method, request))
            if self._script.failures:
                if self._script.retry_after:
                    context.set_trailing_metadata((("retry-after", str(self._script.retry_after)),))
                context.abort(self._script.failures.pop(0), "no")
            found = ANSWERS.get(method)
            return found.SerializeToString() if found else b""

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def scripted_grpc() -> Iterator[GrpcScript]:
    script = GrpcScript()
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads, options=[("grpc.max_receive_message_length", 5_000_000)])
        server.add_generic_rpc_handlers([_Scripted(script)])
        script.port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield script
        finally:
            server.stop(None).wait()
