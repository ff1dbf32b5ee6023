"""What doctor learns from a real vLLM."""

import pytest

from rag_app.probes.base import Probe
from rag_app.probes.doctor import examine
from rag_app.settings import Settings, override
from tests.vllm_server import VllmServer


async def probed(settings: Settings, server: VllmServer, window: int) -> dict[str, Probe]:
    llm = {"api_base": f"{server.url}/v1", "model": "tiny-chat", "context_window": window}
    stage = {"kind": "llm"}
    chosen = {"llm": llm, "reader": stage, "rewrite": stage, "server": {"port": 0}}
    found = await examine(override(settings, chosen), deadline=30)
    return {probe.role: probe for probe in found.probes}


@pytest.mark.slow
async def test_the_length_that_it_reads_is_told_and_held_against_the_settings(
    settings, encoder, chat_server
):
    probes = await probed(settings, chat_server, 8192)
    for role in ("reader", "rewriter"):
        assert probes[role].ok, probes[role].detail
        begin = f"tiny-chat at {chat_server.url}/v1, reads 8192 tokens, first words "
        assert probes[role].detail.startswith(begin)
    probes = await probed(settings, chat_server, 32768)
    assert not probes["reader"].ok
    assert "reads 8192 tokens, and the settings count on 32768" in probes["reader"].detail


@pytest.mark.slow
async def test_its_grades_are_read_though_random_weights_may_order_passages_either_way(
    settings, encoder, chat_server
):
    llm = {"api_base": f"{chat_server.url}/v1", "model": "tiny-chat"}
    chosen = {"llm": llm, "rerank": {"kind": "qwen"}, "server": {"port": 0}}
    found = await examine(override(settings, chosen), deadline=30)
    (probe,) = [probe for probe in found.probes if probe.role == "reranker"]
    orders = "orders two passages" in probe.detail
    assert orders or "does not put a passage that answers before" in probe.detail, probe.detail
    assert probe.ok == orders
