"""A stand-in for a Qdrant server on loopback, over REST and gRPC, with any number of shards.

Requests are checked against what the client's package ships: the models made from Qdrant's OpenAPI
description, and its protobuf definitions. Unknown fields, other types, unknown numbers of enums and
ids that are no UUID are refused, as is what is not offered here. Each shard is a collection of the
client's local mode, so that BM25's idf is counted in each by itself, as a real server does.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
from google.protobuf import message_factory
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from pydantic import TypeAdapter, ValidationError
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as qdrant
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import collections_service_pb2, points_service_pb2

_DONE = models.UpdateResult(operation_id=1, status=models.UpdateStatus.COMPLETED)


class Refused(ValueError):
    """A request that a server does not take."""


class Missing(ValueError):
    """A collection that is not there."""


class Shards:
    """Collections, each cut into as many shards as it asks for; safe for several threads.

    Args:
        most: shards that a collection can have.
    """

    def __init__(self, most: int = 2) -> None:
        self._all = [QdrantClient(":memory:") for _ in range(most)]
        self._lock = threading.RLock()

    def close(self) -> None:
        for shard in self._all:
            shard.close()

    def names(self) -> list[str]:
        with self._lock:
            return [held.name for held in self._all[0].get_collections().collections]

    def aliases(self) -> list[models.AliasDescription]:
        with self._lock:
            return self._all[0].get_aliases().aliases

    def exists(self, name: str) -> bool:
        with self._lock:
            return self._all[0].collection_exists(name)

    def info(self, name: str) -> models.CollectionInfo:
        with self._lock:
            info = self._of(name)[0].get_collection(name)
            info.config.params.shard_number = len(self._of(name))
            info.config.metadata = None
            return info

    def create(self, name: str, asked: models.CreateCollection) -> None:
        with self._lock:
            if self.exists(name):
                raise Refused(f"Collection `{name}` already exists!")
            shards = asked.shard_number or 1
            if shards > len(self._all):
                raise Refused(f"{shards} shards are more than the {len(self._all)} offered here")
            for shard in self._all:
                shard.create_collection(
                    name,
                    vectors_config=asked.vectors,
                    sparse_vectors_config=asked.sparse_vectors,
                    metadata={"shards": shards},
                )

    def drop(self, name: str) -> None:
        with self._lock:
            for shard in self._all:
                shard.delete_collection(name)

    def change_aliases(self, actions: Sequence[models.AliasOperations]) -> None:
        with self._lock:
            for shard in self._all:
                shard.update_collection_aliases(list(actions))

    def upsert(
        self,
        name: str,
        points: Sequence[models.PointStruct],
        mode: models.UpdateMode | None = None,
    ) -> None:
        with self._lock:
            for shard, part in self._parted(name, points, lambda point: point.id):
                shard.upsert(name, part, update_mode=mode)

    def update_vectors(self, name: str, points: Sequence[models.PointVectors]) -> None:
        with self._lock:
            for shard, part in self._parted(name, points, lambda point: point.id):
                shard.update_vectors(name, part)

    def delete(self, name: str, gone: models.PointsSelector) -> None:
        with self._lock:
            if isinstance(gone, models.FilterSelector):
                for shard in self._of(name):
                    shard.delete(name, gone)
                return
            for shard, part in self._parted(name, gone.points, lambda point: point):
                shard.delete(name, models.PointIdsList(points=part))

    def get(self, name: str, asked: models.PointRequest) -> list[models.Record]:
        with self._lock:
            found = [
                record
                for shard, part in self._parted(name, asked.ids, lambda point: point)
                for record in shard.retrieve(name, part, asked.with_payload, asked.with_vector)
            ]
            order = [str(point) for point in asked.ids]
            return sorted(found, key=lambda record: order.index(str(record.id)))

    def scroll(
        self, name: str, asked: models.ScrollRequest
    ) -> tuple[list[models.Record], models.ExtendedPointId | None]:
        with self._lock:
            limit = asked.limit or 10
            found: list[models.Record] = []
            for shard in self._of(name):
                found += shard.scroll(
                    name, asked.filter, limit + 1, None, asked.offset, asked.with_payload,
                    asked.with_vector or False,
                )[0]  # fmt: skip
            found.sort(key=lambda record: str(record.id))
            return found[:limit], (found[limit].id if len(found) > limit else None)

    def count(self, name: str, asked: models.CountRequest) -> int:
        with self._lock:
            return sum(shard.count(name, asked.filter).count for shard in self._of(name))

    def query(self, name: str, asked: models.QueryRequest) -> list[models.ScoredPoint]:
        with self._lock:
            known = self._of(name)[0].get_collection(name).config.params
            if asked.using not in {*(known.vectors or {}), *(known.sparse_vectors or {})}:
                raise Refused(f"Wrong input: Not existing vector name error: {asked.using}")
            limit = asked.limit or 10
            found = [
                point
                for shard in self._of(name)
                for point in shard.query_points(
                    name,
                    query=asked.query,
                    using=asked.using,
                    query_filter=asked.filter,
                    search_params=_idf_alone(asked.params),
                    limit=limit,
                    with_payload=asked.with_payload or False,
                    with_vectors=asked.with_vector or False,
                ).points
            ]
            return sorted(found, key=lambda point: -point.score)[:limit]

    def require(self, name: str) -> None:
        if not self.exists(name):
            raise Missing(f"Not found: Collection `{name}` doesn't exist!")

    def _of(self, name: str) -> list[QdrantClient]:
        self.require(name)
        metadata = self._all[0].get_collection(name).config.metadata or {}
        return self._all[: metadata["shards"]]

    def _parted(
        self, name: str, items: Sequence[Any], id_of: Callable[[Any], models.ExtendedPointId]
    ) -> Iterator[tuple[QdrantClient, list[Any]]]:
        shards = self._of(name)
        parts: list[list[Any]] = [[] for _ in shards]
        for item in items:
            parts[_uuid(id_of(item)).int % len(shards)].append(item)
        yield from ((shard, part) for shard, part in zip(shards, parts, strict=True) if part)


def _idf_alone(params: models.SearchParams | None) -> models.SearchParams | None:
    """What local mode heeds of parameters; it warns of others."""
    return models.SearchParams(idf=params.idf) if params and params.idf else None


def _uuid(point: models.ExtendedPointId) -> uuid.UUID:
    try:
        return uuid.UUID(str(point))
    except ValueError as error:
        raise Refused(f"Unable to parse UUID: {point}") from error


# --- REST ----------------------------------------------------------------------------------------


def _put_collection(shards: Shards, name: str, asked: models.CreateCollection) -> bool:
    shards.create(name, asked)
    return True


def _post_aliases(shards: Shards, _: str, asked: models.ChangeAliasesOperation) -> bool:
    shards.change_aliases(asked.actions)
    return True


def _put_index(shards: Shards, name: str, _: models.CreateFieldIndex) -> models.UpdateResult:
    shards.require(name)  # they have no indexes
    return _DONE


def _put_points(shards: Shards, name: str, asked: models.PointsList) -> models.UpdateResult:
    shards.upsert(name, asked.points, asked.update_mode)
    return _DONE


def _put_vectors(shards: Shards, name: str, asked: models.UpdateVectors) -> models.UpdateResult:
    shards.update_vectors(name, asked.points)
    return _DONE


def _post_delete(shards: Shards, name: str, asked: models.PointsSelector) -> models.UpdateResult:
    shards.delete(name, asked)
    return _DONE


def _post_scroll(shards: Shards, name: str, asked: models.ScrollRequest) -> Any:
    points, following = shards.scroll(name, asked)
    return {"points": points, "next_page_offset": following}


def _post_count(shards: Shards, name: str, asked: models.CountRequest) -> Any:
    return {"count": shards.count(name, asked)}


def _post_query(shards: Shards, name: str, asked: models.QueryRequest) -> Any:
    return {"points": shards.query(name, asked)}


def _post_queries(shards: Shards, name: str, asked: models.QueryRequestBatch) -> Any:
    return [_post_query(shards, name, one) for one in asked.searches]


_WITH_BODY: Mapping[tuple[str, str], tuple[Any, Callable[[Shards, str, Any], Any]]] = {
    ("PUT", ""): (models.CreateCollection, _put_collection),
    ("POST", "aliases"): (models.ChangeAliasesOperation, _post_aliases),
    ("PUT", "index"): (models.CreateFieldIndex, _put_index),
    ("PUT", "points"): (models.PointsList, _put_points),
    ("POST", "points"): (models.PointRequest, Shards.get),
    ("PUT", "points/vectors"): (models.UpdateVectors, _put_vectors),
    ("POST", "points/delete"): (models.PointsSelector, _post_delete),
    ("POST", "points/count"): (models.CountRequest, _post_count),
    ("POST", "points/scroll"): (models.ScrollRequest, _post_scroll),
    ("POST", "points/query"): (models.QueryRequest, _post_query),
    ("POST", "points/query/batch"): (models.QueryRequestBatch, _post_queries),
}
_WITHOUT: Mapping[tuple[str, str], Callable[[Shards, str], Any]] = {
    ("GET", ""): Shards.info,
    ("GET", "exists"): lambda shards, name: {"exists": shards.exists(name)},
    ("GET", "aliases"): lambda shards, _: {"aliases": shards.aliases()},
    ("GET", "names"): lambda shards, _: {"collections": [{"name": n} for n in shards.names()]},
    ("DELETE", ""): lambda shards, name: shards.drop(name) or True,
}
_WHOLE = {"/collections": "names", "/aliases": "aliases", "/collections/aliases": "aliases"}
_QUESTIONS = {"wait", "ordering", "consistency", "timeout"}


def answer_rest(shards: Shards, method: str, address: str, body: bytes) -> Any:
    """The `result` of a request. Raises ValueError where a server refuses it."""
    url = urlsplit(address)
    if unknown := parse_qs(url.query).keys() - _QUESTIONS:
        raise Refused(f"unknown parameters: {sorted(unknown)}")
    name, _, what = url.path.removeprefix("/collections/").partition("/")
    what = _WHOLE.get(url.path, what)
    if without := _WITHOUT.get((method, what)):
        return without(shards, name)
    if (method, what) not in _WITH_BODY:
        raise Missing(f"{method} {url.path} is not offered")
    model, with_body = _WITH_BODY[method, what]
    return with_body(shards, name, TypeAdapter(model).validate_json(body, strict=True))


# --- gRPC ----------------------------------------------------------------------------------------


def _upsert(shards: Shards, asked: Any) -> Message:
    points = [GrpcToRest.convert_point_struct(point) for point in asked.points]
    given = asked.HasField("update_mode")
    mode = GrpcToRest.convert_update_mode(asked.update_mode) if given else None
    shards.upsert(asked.collection_name, points, mode)
    return _updated()


def _update_vectors(shards: Shards, asked: Any) -> Message:
    points = [GrpcToRest.convert_point_vectors(point) for point in asked.points]
    shards.update_vectors(asked.collection_name, points)
    return _updated()


def _delete(shards: Shards, asked: Any) -> Message:
    shards.delete(asked.collection_name, GrpcToRest.convert_points_selector(asked.points))
    return _updated()


def _index(shards: Shards, asked: Any) -> Message:
    shards.require(asked.collection_name)
    return _updated()


def _updated() -> Message:
    return qdrant.PointsOperationResponse(result=RestToGrpc.convert_update_result(_DONE))


def _chosen(asked: Any) -> dict[str, Any]:
    chosen: dict[str, Any] = {"with_payload": False, "with_vector": False}
    if asked.HasField("with_payload"):
        chosen["with_payload"] = GrpcToRest.convert_with_payload_selector(asked.with_payload)
    if asked.HasField("with_vectors"):
        chosen["with_vector"] = GrpcToRest.convert_with_vectors_selector(asked.with_vectors)
    return chosen


def _filter(asked: Any) -> models.Filter | None:
    return GrpcToRest.convert_filter(asked.filter) if asked.HasField("filter") else None


def _get(shards: Shards, asked: Any) -> Message:
    ids = [GrpcToRest.convert_point_id(point) for point in asked.ids]
    found = shards.get(asked.collection_name, models.PointRequest(ids=ids, **_chosen(asked)))
    return qdrant.GetResponse(result=[RestToGrpc.convert_retrieved_point(one) for one in found])


def _scroll(shards: Shards, asked: Any) -> Message:
    offset = GrpcToRest.convert_point_id(asked.offset) if asked.HasField("offset") else None
    request = models.ScrollRequest(
        offset=offset, limit=asked.limit, filter=_filter(asked), **_chosen(asked)
    )
    found, following = shards.scroll(asked.collection_name, request)
    return qdrant.ScrollResponse(
        result=[RestToGrpc.convert_retrieved_point(one) for one in found],
        next_page_offset=RestToGrpc.convert_extended_point_id(following) if following else None,
    )


def _count(shards: Shards, asked: Any) -> Message:
    found = shards.count(asked.collection_name, models.CountRequest(filter=_filter(asked)))
    return qdrant.CountResponse(result=qdrant.CountResult(count=found))


def _hits(shards: Shards, name: str, asked: Any) -> list[Message]:
    hits = shards.query(name, GrpcToRest.convert_query_points(asked))
    return [RestToGrpc.convert_scored_point(hit) for hit in hits]


def _query(shards: Shards, asked: Any) -> Message:
    return qdrant.QueryResponse(result=_hits(shards, asked.collection_name, asked))


def _query_batch(shards: Shards, asked: Any) -> Message:
    return qdrant.QueryBatchResponse(
        result=[
            qdrant.BatchResult(result=_hits(shards, asked.collection_name, one))
            for one in asked.query_points
        ]
    )


def _create(shards: Shards, asked: Any) -> Message:
    request = models.CreateCollection(
        vectors=GrpcToRest.convert_vectors_config(asked.vectors_config),
        sparse_vectors=GrpcToRest.convert_sparse_vector_config(asked.sparse_vectors_config),
        shard_number=asked.shard_number if asked.HasField("shard_number") else None,
    )
    shards.create(asked.collection_name, request)
    return qdrant.CollectionOperationResponse(result=True)


def _drop(shards: Shards, asked: Any) -> Message:
    shards.drop(asked.collection_name)
    return qdrant.CollectionOperationResponse(result=True)


def _change_aliases(shards: Shards, asked: Any) -> Message:
    shards.change_aliases([GrpcToRest.convert_alias_operations(one) for one in asked.actions])
    return qdrant.CollectionOperationResponse(result=True)


def _info(shards: Shards, asked: Any) -> Message:
    info = RestToGrpc.convert_collection_info(shards.info(asked.collection_name))
    return qdrant.GetCollectionInfoResponse(result=info)


def _exists(shards: Shards, asked: Any) -> Message:
    found = qdrant.CollectionExists(exists=shards.exists(asked.collection_name))
    return qdrant.CollectionExistsResponse(result=found)


def _list(shards: Shards, _: Any) -> Message:
    described = [qdrant.CollectionDescription(name=name) for name in shards.names()]
    return qdrant.ListCollectionsResponse(collections=described)


def _aliases(shards: Shards, _: Any) -> Message:
    described = [RestToGrpc.convert_alias_description(one) for one in shards.aliases()]
    return qdrant.ListAliasesResponse(aliases=described)


_CALLS: Mapping[str, Callable[[Shards, Any], Message]] = {
    "Points/Upsert": _upsert, "Points/UpdateVectors": _update_vectors, "Points/Delete": _delete,
    "Points/CreateFieldIndex": _index, "Points/Get": _get, "Points/Scroll": _scroll,
    "Points/Count": _count, "Points/Query": _query, "Points/QueryBatch": _query_batch,
    "Collections/Create": _create, "Collections/Delete": _drop, "Collections/Get": _info,
    "Collections/CollectionExists": _exists, "Collections/List": _list,
    "Collections/UpdateAliases": _change_aliases, "Collections/ListAliases": _aliases,
}  # fmt: skip
_SERVICES = {
    name: service
    for module in (points_service_pb2, collections_service_pb2)
    for name, service in module.DESCRIPTOR.services_by_name.items()
}


def parsed(method: str, body: bytes) -> Message:
    """A request, by Qdrant's definitions. Raises Refused for what they do not know."""
    service, _, call = method.partition("/")
    described = _SERVICES[service].methods_by_name[call].input_type
    try:
        message = message_factory.GetMessageClass(described).FromString(body)
    except DecodeError as error:
        raise Refused(f"{method}: {error}") from error
    _refuse_unknown(message)
    return message


def _refuse_unknown(message: Message) -> None:
    if len(UnknownFieldSet(message)):
        raise Refused(f"{message.DESCRIPTOR.full_name} has an unknown field")
    for field, value in message.ListFields():
        several = list(value.values()) if isinstance(value, Mapping) else value
        for one in several if field.is_repeated else [value]:
            if isinstance(one, Message):
                _refuse_unknown(one)
            elif field.enum_type and one not in field.enum_type.values_by_number:
                raise Refused(f"{field.full_name} has no value {one}")


class _Called(grpc.GenericRpcHandler):
    def __init__(self, shards: Shards, asked: list[str]) -> None:
        self._shards, self._asked = shards, asked

    def service(self, details: Any) -> Any:
        method = details.method.removeprefix("/qdrant.")
        if method not in _CALLS:
            return None  # which the client sees as UNIMPLEMENTED

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self._asked.append(method)
            try:
                found = _CALLS[method](self._shards, parsed(method, request))
            except Missing as error:
                context.abort(grpc.StatusCode.NOT_FOUND, str(error))
            except ValueError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            return found.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


# --- the server ----------------------------------------------------------------------------------


class QdrantServer:
    """Both protocols, over the same shards, until `stop`.

    Attributes:
        url: of REST.
        grpc_port: on the same host.
        asked: methods and paths of all requests, in the order in which they came.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._shards = Shards()
        self._threads = ThreadPoolExecutor(8)
        self._grpc = grpc.server(self._threads)
        self._grpc.add_generic_rpc_handlers([_Called(self._shards, self.asked)])
        self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._grpc.start()

        class Handler(_Handler):
            shards, asked = self._shards, self.asked

        self._rest = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._rest.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._rest.server_address[1]}"

    def stop(self) -> None:
        self._grpc.stop(None).wait()
        self._threads.shutdown()
        self._rest.shutdown()
        self._thread.join()
        self._rest.server_close()
        self._shards.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    shards: Shards
    asked: list[str]

    def answer(self) -> None:
        self.asked.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            result = answer_rest(self.shards, self.command, self.path, body)
        except Missing as error:
            self._send(404, {"status": {"error": str(error)}})
        except (ValidationError, ValueError) as error:
            self._send(400, {"status": {"error": str(error)}})
        else:
            self._send(200, {"result": result, "status": "ok", "time": 0.0})

    def _send(self, status: int, answer: Mapping[str, Any]) -> None:
        data = TypeAdapter(Any).dump_json(answer, exclude_none=True)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass
