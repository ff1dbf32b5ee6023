import socket
from importlib.metadata import version

import pytest

from rag_app.probes import cluster as probing
from rag_app.probes.base import Problem
from rag_app.probes.cluster import ray
from rag_app.settings import Ray
from tests.rag_app.probes.servers import closed_port, hanging


@pytest.fixture(autouse=True)
def _no_ray_here(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(probing, "gettempdir", lambda: str(tmp_path))


def test_one_that_each_ingest_starts_needs_processors():
    found = ray(Ray(actors=2, cpus_per_actor=1.5), 1)
    assert found.startswith(f"{version('ray')}, started by each ingest; 4 CPUs wanted, ")


def test_a_cluster_that_accepts_connections_is_named():
    with hanging() as port:
        address = f"127.0.0.1:{port}"
        assert f"cluster at {address} accepts connections" in ray(Ray(address=address), 1)


def test_a_cluster_that_is_down_is_named():
    address = f"127.0.0.1:{closed_port()}"
    with pytest.raises(Problem, match=f"the Ray cluster at {address} cannot be reached"):
        ray(Ray(address=address), 1)


@pytest.mark.parametrize("address", ["ray", "host:port", "127.0.0.1:99999"])
def test_what_is_no_address_is_told(address):
    with pytest.raises(Problem, match=address):
        ray(Ray(address=address), 1)


def test_auto_looks_for_one_on_this_machine(tmp_path):
    with pytest.raises(Problem, match="no Ray runs on this machine") as problem:
        ray(Ray(address="auto"), 1)
    assert "ray start --head" in problem.value.hint
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"{address}\n")
        assert f"cluster at {address} accepts" in ray(Ray(address="auto"), 1)


def test_ray_that_is_not_installed_is_told(monkeypatch):
    def missing(name: str) -> str:
        raise probing.PackageNotFoundError(name)

    monkeypatch.setattr(probing, "version", missing)
    with pytest.raises(Problem, match="not installed") as problem:
        ray(Ray(), 1)
    assert problem.value.hint == "pip install 'rag-app[ray]'"
