from collections.abc import AsyncIterator

import httpx
import pytest

from rag_app.application import Application
from rag_app.collections.ownership import HeldByAnother, Ownership
from rag_app.errors import SettingsError
from rag_app.probes.base import Check
from rag_app.probes.readiness import Readiness
from rag_app.settings import Server
from rag_app.web.access import Access
from rag_app.web.server import require_safe_host
from tests.encoders import HashingEncoder
from tests.rag_app.served import TOKEN, Served, serving


@pytest.fixture
async def served(application: Application) -> AsyncIterator[Served]:
    async with serving(application) as served:
        yield served


@pytest.fixture
async def client(served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served.address, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_password(host):
    require_safe_host(Server(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_other_addresses_need_a_password(host):
    with pytest.raises(SettingsError, match="RAG_APP_SERVER__PASSWORD"):
        require_safe_host(Server(host=host))
    require_safe_host(Server(host=host, password="long-enough"))


@pytest.mark.parametrize("path", ["/healthz", "/api/collections", "/metrics"])
async def test_a_name_that_a_foreign_page_gave_us_is_refused(client, path):
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::2]"):
        assert (await client.get(path, headers={"Host": host})).status_code == 400
    for host in ("127.0.0.1", "localhost:7860", "LOCALHOST", "[::1]:7860", "[::1]"):
        assert (await client.get(path, headers={"Host": host})).status_code == 200


async def test_an_open_address_answers_to_any_name(application):
    server = Server(host="0.0.0.0", password="long-enough")
    async with serving(application, server=server) as served:
        async with httpx.AsyncClient(base_url=served.address, trust_env=False) as client:
            answer = await client.get("/healthz", headers={"Host": "rag.example.org"})
            assert answer.status_code == 200


async def test_probes_tell_life_readiness_and_metrics(client, application, tmp_path):
    assert (await client.get("/healthz")).json() == {"status": "alive"}
    told = (await client.get("/readyz")).json()
    assert told["status"] == "ready"
    assert told["failed"] == told["degraded"] == []
    assert [probe["detail"] for probe in told["probes"]] == ["0 collections"]
    metrics = await client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "python_info" in metrics.text


class _Broken:
    """What makes an application unready, for a reason that names an address."""

    @staticmethod
    async def run() -> str:
        raise SettingsError("http://inside:8001/v1 is down", hint="Start it")


async def test_what_is_not_ready_says_so_and_tells_strangers_no_more_than_its_name(application):
    checks = [Check("encoder", _Broken.run), Check("rewriter", _Broken.run)]
    access = Access(TOKEN, "admin", "the-password")
    async with serving(application, access, readiness=Readiness(checks)) as served:
        async with httpx.AsyncClient(base_url=served.address, trust_env=False) as client:
            stranger = await client.get("/readyz")
            assert stranger.status_code == 503
            told = {"status": "not ready", "failed": ["encoder"], "degraded": ["rewriter"]}
            assert stranger.json() == told
            for known in ({"auth": ("admin", "the-password")}, {"headers": bearer(TOKEN)}):
                probes = (await client.get("/readyz", **known)).json()["probes"]
                assert [probe["detail"] for probe in probes] == [
                    "http://inside:8001/v1 is down"
                ] * 2
            assert (await client.get("/healthz")).status_code == 200


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_the_end_of_the_server_closes_the_application(
    application: Application, encoder: HashingEncoder, settings
):
    async with serving(application):
        with pytest.raises(HeldByAnother):
            Ownership(settings.storage.path)
        assert not encoder.closed
    Ownership(settings.storage.path).release()
    assert encoder.closed
