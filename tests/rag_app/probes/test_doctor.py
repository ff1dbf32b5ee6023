import time

import pytest

from rag_app.collections.ownership import Ownership
from rag_app.probes import base
from rag_app.probes.base import Probe
from rag_app.probes.doctor import examine
from rag_app.settings import Settings, override
from tests.openai_server import OpenAIServer, openai_server
from tests.rag_app.command import rag_app
from tests.rag_app.probes.servers import closed_port, hanging

__all__ = ["openai_server"]


@pytest.fixture
def settings(settings: Settings, encoder) -> Settings:
    return override(settings, {"server": {"port": 0}})


async def probed(settings: Settings, **overrides) -> dict[str, Probe]:
    found = await examine(override(settings, overrides))
    assert found.ok == all(probe.ok for probe in found.probes)
    return {probe.role: probe for probe in found.probes}


async def test_a_sound_installation_passes_every_probe(settings, encoder):
    probes = await probed(settings)
    roles = "storage disk files qdrant index encoder reader port"
    assert list(probes) == roles.split()
    assert "kinds of files by" in probes["files"].detail
    assert all(probe.ok and probe.ms >= 0 for probe in probes.values())
    assert str(settings.storage.path) in probes["storage"].detail
    assert "32 dimensions" in probes["encoder"].detail
    assert "0 collections" in probes["index"].detail
    assert "no language model" in probes["reader"].detail
    assert encoder.closed
    Ownership(settings.storage.path).release()
    left = {path.name for path in settings.storage.path.iterdir()}
    assert left <= {"lock", "collections", "models"}, "nothing of the probes is left"


async def test_one_broken_part_leaves_the_others_tried(settings, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    probes = await probed(settings, storage={"path": tmp_path / "file"})
    assert not probes["storage"].ok
    assert "RAG_APP_STORAGE__PATH" in probes["storage"].hint
    assert not probes["index"].ok
    assert probes["encoder"].ok
    assert probes["port"].ok


async def test_a_folder_that_another_command_owns_is_a_problem_of_the_index(settings):
    ownership = Ownership(settings.storage.path)
    probes = await probed(settings)
    ownership.release()
    assert "owns it" in probes["qdrant"].detail
    assert not probes["index"].ok
    assert "in use" in probes["index"].detail
    assert probes["index"].hint


async def test_every_stage_is_tried_with_a_real_call(settings, openai_server: OpenAIServer):
    stage = {"kind": "llm"}
    llm = {"api_base": openai_server.url, "model": openai_server.model}
    probes = await probed(
        settings, llm=llm, condense=stage, rewrite=stage, reader=stage, ingest={"engine": "ray"}
    )
    assert list(probes)[6:-1] == ["condenser", "rewriter", "reader", "ray"]
    assert all(probe.ok for probe in probes.values())
    assert len(openai_server.requests) == 3


async def test_servers_that_hang_are_failed_probes_within_the_deadline(settings):
    stage = {"kind": "llm"}
    with hanging() as port:
        url = f"http://127.0.0.1:{port}"
        found = await examine(
            override(
                settings,
                {
                    "storage": {"engine": "server", "url": url, "prefer_grpc": False},
                    "llm": {"api_base": f"{url}/v1", "model": "m"},
                    "condense": stage,
                    "rewrite": stage,
                    "reader": stage,
                    "rerank": {"kind": "qwen"},
                },
            ),
            deadline=1.5,
        )
    failed = {probe.role: probe for probe in found.probes if not probe.ok}
    assert list(failed) == ["qdrant", "index", "condenser", "rewriter", "reranker", "reader"]
    for probe in failed.values():
        assert probe.detail.startswith(url)
        assert "did not answer within" in probe.detail
        assert probe.hint


async def test_in_a_container_a_refusal_at_localhost_is_explained(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "MARKS", (tmp_path,))
    url = f"http://localhost:{closed_port()}/v1"
    llm = {"api_base": url, "model": "m"}
    probe = (await probed(settings, reader={"kind": "llm"}, llm=llm))["reader"]
    assert not probe.ok
    assert url in probe.detail
    assert "host.docker.internal" in probe.hint


async def test_no_secret_is_told(settings, openai_server: OpenAIServer):
    secret = "hunter2-hunter2"
    base = openai_server.url.replace("//", f"//me:{secret}@")
    chosen = {"reader": {"kind": "llm"}, "llm": {"api_key": secret, "model": f"m-{secret}"}}
    down = f"http://me:{secret}@127.0.0.1:{closed_port()}/v1"
    for address, said in ((base, "does not have m-(hidden)"), (down, "cannot be reached")):
        chosen["llm"]["api_base"] = address
        probe = (await probed(settings, **chosen))["reader"]
        assert not probe.ok
        assert secret not in probe.detail + probe.hint
        assert said in probe.detail


def test_the_command_ends_though_a_server_hangs(tmp_path):
    """A thread that waits for it must not keep the process."""
    with hanging() as port:
        url = f"http://127.0.0.1:{port}"
        start = time.monotonic()
        done = rag_app(
            "doctor", "--deadline", "2", storage=tmp_path, network=True,
            RAG_APP_STORAGE__ENGINE="server", RAG_APP_STORAGE__URL=url,
            RAG_APP_STORAGE__PREFER_GRPC="false", RAG_APP_SERVER__PORT="0",
        )  # fmt: skip
        took = time.monotonic() - start
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1] for line in failed] == ["qdrant", "index"]
    assert all(url in line for line in failed)
    assert took < 60, "Qdrant's client would be waited for much longer"
