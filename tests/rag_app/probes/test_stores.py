from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version

import grpc
import pytest
from qdrant_client.grpc import (
    ListAliasesResponse,
    add_CollectionsServicer_to_server,
    collections_service_pb2_grpc,
)

from rag_app.assembly import application as assembly
from rag_app.assembly import components
from rag_app.collections.ownership import Owner, Ownership
from rag_app.errors import StorageInUse
from rag_app.probes.base import Problem
from rag_app.probes.stores import embedded, indexes, server
from rag_app.settings import Storage, override
from rag_app.web.access import Access
from retrieval.index.errors import StoreError
from tests.rag_app.probes.servers import closed_port, hanging
from tests.rag_app.served import address_of, listening, serving
from tests.rag_app.support import prose, twin, write
from tests.retrieval.index.scripted_server import VERSION, scripted_server


def test_the_embedded_engine_tells_its_version_and_its_owner(tmp_path):
    storage = Storage(path=tmp_path)
    found = embedded(storage, None)
    assert f"qdrant-edge {version('qdrant-edge-py')}" in found
    assert "no other process owns it" in found
    owner = Owner(7, "rag-app ui", "http://127.0.0.1:7860", "the-token")
    found = embedded(storage, owner)
    assert "process 7 (rag-app ui) owns it at http://127.0.0.1:7860" in found
    assert "the-token" not in found
    assert embedded(storage, Owner(7, "rag-app ingest")).endswith("(rag-app ingest) owns it")


def over_http(url: str, **more) -> Storage:
    return Storage(engine="server", url=url, prefer_grpc=False, **more)


def test_a_server_tells_its_version_its_nodes_and_how_fast_it_answers():
    with scripted_server() as script:
        found = server(over_http(script.url), 2)
        assert found.startswith(f"server {VERSION} at {script.url}, HTTP ")
        assert found.endswith(" ms, one node")
        assert [where for _, where, _, _ in script.requests] == ["/", "/aliases", "/cluster"]
        script.peers = 3
        found = server(over_http(script.url, shards=6, replicas=2), 2)
        assert found.endswith("cluster of 3 (shards 6, replicas 2, confirm 1)")


def test_a_server_that_is_down_is_named_with_the_hint():
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(StoreError) as error:
        server(over_http(url), 2)
    assert url in error.value.message
    assert error.value.hint


def test_a_server_that_hangs_is_given_up():
    with hanging() as port, pytest.raises(StoreError, match="does not answer"):
        server(over_http(f"http://127.0.0.1:{port}"), 0.1)


def test_a_wrong_key_is_told_though_the_version_needs_none(caplog):
    with scripted_server() as script:
        script.failures = [200, 401]
        with pytest.raises(StoreError, match="refused a request: 401") as error:
            server(over_http(script.url, api_key="wrong-key"), 2)
    assert "API key" in error.value.hint
    assert caplog.text == "", "a probe that is made again and again fills no log"


def test_a_key_that_may_not_ask_for_the_cluster_is_enough():
    with scripted_server() as script:
        script.failures = [200, 200, 403]
        assert server(over_http(script.url), 2).endswith("cluster not told (403 Forbidden: no)")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"replicas": 2}, "storage.replicas is 2, and .* has 1 node: no more than 1"),
        ({"write_consistency": 2}, "storage.write_consistency is 2, and .* has 1 node"),
    ],
)
def test_a_cluster_too_small_for_the_placement_is_told(asked, told):
    with scripted_server() as script, pytest.raises(Problem, match=told):
        server(over_http(script.url, **asked), 2)


class _Collections(collections_service_pb2_grpc.CollectionsServicer):
    def ListAliases(self, request, context):  # noqa: N802 - Qdrant's name
        return ListAliasesResponse()


@contextmanager
def grpc_server() -> Iterator[int]:
    running = grpc.server(ThreadPoolExecutor(1))
    add_CollectionsServicer_to_server(_Collections(), running)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    try:
        yield port
    finally:
        running.stop(None).wait()


def test_grpc_is_tried_where_it_is_preferred():
    with scripted_server() as script, grpc_server() as port:
        storage = Storage(engine="server", url=script.url, grpc_port=port)
        assert f"gRPC {port} " in server(storage, 2)


def test_a_grpc_port_that_is_closed_is_told_from_a_server_that_is_down():
    port = closed_port()
    with scripted_server() as script:
        storage = Storage(engine="server", url=script.url, grpc_port=port)
        with pytest.raises(Problem) as problem:
            server(storage, 2)
    assert f"gRPC at 127.0.0.1:{port} does not answer" in problem.value.message
    assert "RAG_APP_STORAGE__PREFER_GRPC=false" in problem.value.hint


@pytest.fixture
async def papers(settings, encoder, tmp_path):
    """A collection of that name, closed."""
    application, _ = assembly.open_application(settings)
    await application.ingest("papers", [write(tmp_path / "in", {"a.txt": prose("a")})])
    await application.close()


async def test_an_empty_storage_has_nothing_that_does_not_fit(settings, encoder):
    assert (await indexes(settings)).startswith("0 collections, 0 passages, fingerprint ")
    Ownership(settings.storage.path).release()
    assert encoder.closed


async def test_collections_that_fit_are_counted(settings, papers):
    found = await indexes(settings)
    assert found.startswith("1 collections, ")
    assert " 0 passages" not in found


async def test_another_chunker_names_the_command_that_builds_anew(settings, papers):
    with pytest.raises(Problem) as problem:
        await indexes(override(settings, {"chunking": {"tokens": 48}}))
    assert problem.value.message.startswith("papers: no index for these settings (")
    assert "hashing" in problem.value.cause
    assert problem.value.hint.startswith("`rag-app collections rebuild papers`")


async def test_another_encoder_names_the_command_that_adds_its_index(settings, papers, monkeypatch):
    monkeypatch.setattr(components, "encoder", lambda *_: twin("other"))
    with pytest.raises(Problem) as problem:
        await indexes(settings)
    assert problem.value.hint == "`rag-app indexes build --encoder other -c papers`"


async def test_the_named_command_helps(settings, papers, monkeypatch):
    monkeypatch.setattr(components, "encoder", lambda *_: twin("other"))
    application, _ = assembly.open_application(settings)
    await application.build_index("papers", None)
    await application.close()
    assert (await indexes(settings)).startswith("1 collections, ")


async def test_documents_that_an_index_lacks_are_told_with_the_command(
    settings, papers, encoder, monkeypatch, tmp_path
):
    made = {"minilm": encoder, "hashing": encoder, "other": twin("other")}
    monkeypatch.setattr(components, "encoder", lambda _, name="minilm": made[name])
    application, _ = assembly.open_application(settings)
    await application.build_index("papers", "other")
    await application.ingest("papers", [write(tmp_path / "more", {"b.txt": prose("b")})])
    await application.close()
    assert "lacks" not in await indexes(settings)
    made["minilm"] = made["other"]
    assert "papers lacks documents: `rag-app indexes build -c papers`" in await indexes(settings)


async def test_a_storage_that_another_command_owns_cannot_be_asked(settings, encoder):
    ownership = Ownership(settings.storage.path)
    try:
        with pytest.raises(StorageInUse, match="in use"):
            await indexes(settings)
    finally:
        ownership.release()


async def test_the_application_that_owns_the_storage_is_asked(settings, papers):
    application, ownership = assembly.open_application(settings)
    assert ownership
    listener = listening()
    access = Access(ownership.announce(address_of(listener)))
    async with serving(application, access, listener=listener):
        assert (await indexes(settings)).startswith("1 collections, ")
        with pytest.raises(Problem, match="papers"):
            await indexes(override(settings, {"chunking": {"tokens": 48}}))
