import socket

import pytest

from rag_app.collections.ownership import Owner
from rag_app.probes.base import Problem, in_thread
from rag_app.probes.port import port
from rag_app.settings import Server
from tests.rag_app.probes.servers import closed_port
from tests.rag_app.served import serving


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
    monkeypatch.setattr("rag_app.probes.port._SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(Problem, match="in use"):
            port(Server(port=taken.getsockname()[1]), None, shared=True)
