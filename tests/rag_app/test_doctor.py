import socket

import pytest

from rag_app import assembly
from rag_app.doctor import examine
from rag_app.probes.base import Probe
from rag_app.ownership import Ownership
from rag_app.settings import Settings, override
from tests.openai_server import OpenAIServer, Reply, openai_server
from tests.rag_app.support import prose, write

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
    assert list(probes) == ["storage", "qdrant", "index", "encoder", "reader", "port"]
    assert all(probe.ok and probe.ms >= 0 for probe in probes.values())
    assert str(settings.storage.path) in probes["storage"].detail
    assert "32 dimensions" in probes["encoder"].detail
    assert "0 collections" in probes["index"].detail
    assert "no language model" in probes["reader"].detail
    assert encoder.closed
    Ownership(settings.storage.path).release()
    left = {path.name for path in settings.storage.path.iterdir()}
    assert left <= {"lock", "collections", "models"}, "nothing of the probes is left"


async def test_a_folder_that_cannot_be_written_is_named_with_the_way_out(settings, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    probes = await probed(settings, storage={"path": tmp_path / "file"})
    assert not probes["storage"].ok
    assert str(tmp_path / "file") in probes["storage"].detail
    assert "RAG_APP_STORAGE__PATH" in probes["storage"].way_out
    assert not probes["index"].ok
    assert probes["encoder"].ok, "the other parts are tried all the same"


async def test_an_encoder_of_another_length_is_noticed(settings, monkeypatch):
    class Short(type(assembly.encoder(settings))):
        def encode_queries(self, texts):
            encoded = super().encode_queries(texts)
            return encoded._replace(vectors=encoded.vectors[:, :5])

    monkeypatch.setattr(assembly, "encoder", lambda *_: Short())
    probe = (await probed(settings))["encoder"]
    assert not probe.ok
    assert "5 dimensions, not 32" in probe.detail


async def test_a_collection_of_other_settings_is_named_with_its_command(settings, tmp_path):
    application, _ = assembly.open_application(settings)
    await application.ingest("papers", [write(tmp_path / "in", {"a.txt": prose("a")})])
    await application.close()
    assert "1 collections" in (await probed(settings))["index"].detail
    probe = (await probed(settings, chunking={"tokens": 48}))["index"]
    assert not probe.ok
    assert "papers" in probe.detail
    assert probe.way_out.startswith("`rag-app collections rebuild papers`")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_port_that_is_taken_is_named(settings, host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as taken:
        try:
            taken.bind((host, 0))
        except OSError:
            pytest.skip("optional: this machine has no IPv6")
        taken.listen()
        port = taken.getsockname()[1]
        probe = (await probed(settings, server={"host": host, "port": port}))["port"]
        assert not probe.ok
        assert f"{host}:{port}" in probe.detail
        assert "--port" in probe.way_out
    assert (await probed(settings, server={"host": host, "port": port}))["port"].ok


async def test_a_folder_that_another_command_owns_is_a_problem_of_the_index(settings):
    ownership = Ownership(settings.storage.path)
    probe = (await probed(settings))["index"]
    ownership.release()
    assert not probe.ok
    assert "in use" in probe.detail
    assert probe.way_out


async def test_a_language_model_is_really_asked(settings, openai_server: OpenAIServer):
    chosen = {
        "reader": {"kind": "llm"},
        "llm": {"api_base": openai_server.url, "model": openai_server.model},
    }
    openai_server.replies = [Reply("Ready.")]
    probe = (await probed(settings, **chosen))["reader"]
    assert probe.ok
    assert probe.detail.startswith(f"{openai_server.model} at {openai_server.url}, one token ")
    assert len(openai_server.requests) == 1
    openai_server.replies = [Reply(status=401, error="wrong key")]
    probe = (await probed(settings, **chosen))["reader"]
    assert not probe.ok
    assert openai_server.url in probe.detail
    assert probe.way_out
    none = {**chosen, "llm": {**chosen["llm"], "model": ""}}
    probe = (await probed(settings, **none))["reader"]
    assert not probe.ok
    assert "RAG_APP_LLM__MODEL" in probe.way_out
