import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from rag_app.collections.ownership import Owner, Ownership
from rag_app.probes import machine as probing
from rag_app.probes.base import Problem, in_thread
from rag_app.probes.machine import custodian, disk, port, ray, storage
from rag_app.settings import Ray, Server
from retrieval.index.errors import DiskFull
from tests.rag_app.probes.servers import closed_port, hanging
from tests.rag_app.served import serving

_NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users reach, too."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@contextmanager
def without_rights() -> Iterator[None]:
    """As another user, where this one may write everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_is_made_tried_and_left_empty(tmp_path):
    folder = tmp_path / "a" / "b"
    found = storage(folder)
    assert f"{folder}, written as user {os.geteuid()}, mode 0700" in found
    assert "GB free" in disk(folder, 0)
    assert "EVERYBODY" not in found
    assert list(folder.iterdir()) == []


def test_a_folder_that_everybody_may_write_is_told(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert "EVERYBODY may write it (chmod o-w)" in storage(tmp_path / "open")
    (tmp_path / "open").chmod(0o750)
    assert "others may look into it (chmod go-rwx)" in storage(tmp_path / "open")


def test_a_folder_of_read_only_rights_names_user_owner_and_mode(open_folder):
    open_folder.chmod(0o555)
    with without_rights():
        user = os.geteuid()
        with pytest.raises(Problem) as problem:
            storage(open_folder)
    assert problem.value.message == f"{open_folder} cannot be written by user {user}"
    assert problem.value.cause.startswith("permission denied; ")
    assert f"is of user {os.geteuid()}, mode 0555" in problem.value.cause
    assert "RAG_APP_STORAGE__PATH" in problem.value.hint


def test_a_folder_below_one_of_read_only_rights_names_the_one_above(open_folder):
    open_folder.chmod(0o555)
    with without_rights(), pytest.raises(Problem) as problem:
        storage(open_folder / "storage")
    assert f"; {open_folder} is of user" in problem.value.cause


def test_a_file_in_its_place_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(Problem, match="cannot be written"):
        storage(tmp_path / "file")


def test_a_disk_with_no_room_is_told(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=5_000_000)
    monkeypatch.setattr(probing.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFull, match="5 MB are free"):
        disk(tmp_path, 6_000_000)
    assert disk(tmp_path, 4_000_000)


def test_nobody_owns_a_folder_that_is_free_and_it_stays_free(tmp_path):
    assert custodian(tmp_path) is None
    Ownership(tmp_path).release()


def test_the_owner_and_its_address_are_told(tmp_path):
    ownership = Ownership(tmp_path)
    ownership.announce("http://127.0.0.1:7860")
    owner = custodian(tmp_path)
    assert owner
    assert owner.address == "http://127.0.0.1:7860"
    (tmp_path / "owner.json").unlink()
    owner = custodian(tmp_path)
    ownership.release()
    assert owner
    assert owner.command == "another process"


def test_a_folder_that_cannot_be_is_owned_by_nobody(tmp_path):
    (tmp_path / "file").write_text("x")
    assert custodian(tmp_path / "file") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_is_named(host):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        try:
            taken.bind((host, 0))
        except OSError:
            pytest.skip("optional: this machine has no IPv6")
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(Problem, match=f"{host}:{number} cannot be used") as problem:
            port(Server(host=host, port=number), None, shared=False)
        assert "--port" in problem.value.hint
    assert port(Server(host=host, port=number), None, shared=False) == f"{host}:{number} is free"


def test_the_application_that_owns_the_storage_is_named():
    owner = Owner(1, "rag-app ui", "http://127.0.0.1:7860", "the-token")
    found = port(Server(port=closed_port()), owner, shared=False)
    assert found == "the application is running at http://127.0.0.1:7860"


async def test_an_application_that_owns_nothing_is_known_by_its_answer(application):
    async with serving(application) as served:
        number = int(served.address.rpartition(":")[2])
        server = Server(port=number)
        found = await in_thread(lambda: port(server, None, shared=True))
        assert found == f"the application is running at 127.0.0.1:{number}"
        with pytest.raises(Problem):  # it has another storage
            await in_thread(lambda: port(server, None, shared=False))


def test_what_else_listens_is_not_taken_for_the_application(monkeypatch):
    monkeypatch.setattr("rag_app.probes.machine._SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(Problem, match="in use"):
            port(Server(port=taken.getsockname()[1]), None, shared=True)


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
