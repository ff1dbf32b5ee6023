"""Three Ray nodes on this machine: one is lost in the middle, a worker dies on another."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from data.parsing import Parser
from rag_app.ingestion.ray_cluster import Cluster, connected
from rag_app.ingestion.ray_engine import RayIngestor
from rag_app.results import Progress
from tests.conftest import REPOSITORY
from tests.encoders import HashingEncoder
from tests.rag_app.mortal import MortalEncoder
from tests.rag_app.support import (
    chunker,
    found,
    ingest_folder,
    new_store,
    prose,
    settled,
    visible,
    write,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "ADVERSITY_KILLS" not in os.environ,
        reason="optional: three nodes take long to start; `make adversity` runs it",
    ),
    # Ray 2.60 sets deprecated fields of its own configuration
    pytest.mark.filterwarnings("ignore:`use_.*` is deprecated:DeprecationWarning"),
]
CLUSTER = Cluster("auto", actors=2, parsers=1)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        import ray
        from ray.cluster_utils import Cluster as Nodes

        shape = {"num_cpus": 2, "object_store_memory": 100 * 1024 * 1024}
        started = Nodes(
            initialize_head=True, connect=True, head_node_args={**shape, "include_dashboard": False}
        )
        try:
            started.add_node(**shape)
            started.add_node(**shape)
            yield started
        finally:
            ray.shutdown()  # a node that this process is connected to cannot be removed
            started.shutdown()


def test_a_lost_node_and_a_dead_worker_cost_no_document(nodes, tmp_path):
    import ray

    files = {f"{n:03}.txt": prose(n, 20) for n in range(150)}
    folder = write(tmp_path / "in", files)
    assert len(ray.nodes()) == 3
    killer = files["120.txt"].split()[0]
    encoder = MortalEncoder(killer, tmp_path / "deaths")
    store, alone = new_store(tmp_path / "ray"), new_store(tmp_path / "local")

    def lose(progress: Progress) -> None:
        if progress.documents >= 10 and len(nodes.worker_nodes) == 2:
            nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)

    try:
        ingestor = RayIngestor(
            store, encoder, chunker(), Parser, tmp_path / "files", cluster=CLUSTER
        )
        with connected(CLUSTER):
            report = ingestor.run(found(folder), lose)
        ingest_folder(alone, folder, tmp_path / "others", HashingEncoder())
        assert (report.added, report.failures) == (150, [])
        assert len(list((tmp_path / "deaths").iterdir())) == 1
        assert len(nodes.worker_nodes) == 1
        assert visible(store) == visible(alone)
        assert settled(store)
    finally:
        store.close()
        alone.close()
