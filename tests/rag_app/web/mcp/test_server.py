"""The protocol's own client against the real server, by both of its ways."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from rag_app.assembly import application as assembly
from rag_app.settings import Settings
from rag_app.web.access import Access
from rag_app.web.mcp.server import ToolsOverHttp, make_server
from tests.rag_app.served import TOKEN, Served, address_of, listening, serving
from tests.rag_app.support import prose, write
from tests.ui.running import environment

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
JSON = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@asynccontextmanager
async def served_with_tools(
    settings: Settings, tmp_path, access: Access | None = None
) -> AsyncIterator[Served]:
    """An application that owns its storage and says where it listens, with one collection."""
    application, ownership = assembly.open_application(settings)
    assert ownership
    listener = listening()
    access = access or Access(ownership.announce(address_of(listener)))
    await application.ingest("work", [write(tmp_path / "in", {"a.txt": prose("a", 60)})])
    tools = ToolsOverHttp(lambda: make_server(application, settings))
    async with serving(application, access, listener=listener, tools=tools) as served:
        yield served


async def use(client: Client) -> None:
    """Call each tool, rightly and wrongly."""
    listed = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert listed.keys() == {"search", "ask", "read_document"}
    assert "passages" in listed["search"].input_schema["properties"]
    assert listed["search"].input_schema["required"] == ["question"]
    assert all(tool.annotations.read_only_hint for tool in listed.values())
    for name, given in (
        ("search", {"question": "lantern"}),
        ("ask", {"question": "lantern"}),
        ("read_document", {"source": "a.txt"}),
    ):
        result = await client.call_tool(name, given)
        assert not result.is_error
        assert result.structured_content is None
        assert "a.txt" in result.content[0].text
    for name, given, says in (
        ("search", {"question": "q", "collection": "private"}, "there is no collection"),
        ("search", {"question": "q", "passages": 0}, "passages"),
        ("read_document", {"source": "b.txt"}, "holds no document"),
    ):
        refused = await client.call_tool(name, given)
        assert refused.is_error
        assert says in refused.content[0].text


async def test_over_http(settings, encoder, tmp_path):
    async with served_with_tools(settings, tmp_path) as served:
        async with httpx2.AsyncClient(trust_env=False) as connections:
            transport = streamable_http_client(f"{served.address}/mcp", http_client=connections)
            async with Client(transport) as client:
                await use(client)


async def test_over_stdio_through_the_application_that_owns_the_storage(
    settings, encoder, tmp_path
):
    async with served_with_tools(settings, tmp_path):
        command = StdioServerParameters(
            command=sys.executable,
            args=["-c", "from rag_app.cli import main; main()", "mcp"],
            env=environment(settings.storage.path, RAG_APP_MCP__TOKENS="900"),
        )
        async with Client(command) as client:
            await use(client)


async def test_who_may_not_read_may_not_call(settings, encoder, tmp_path):
    access = Access(TOKEN, "admin", "the-password")
    known = {"Authorization": "Bearer the-password"}
    async with served_with_tools(settings, tmp_path, access) as served:
        async with httpx.AsyncClient(base_url=served.address, trust_env=False) as client:
            for headers, status in (
                ({}, 401),
                ({"Authorization": "Bearer wrong"}, 401),
                (known, 200),
                ({**known, "Host": "evil.example"}, 400),
                ({**known, "Origin": "http://evil.example"}, 403),
            ):
                answer = await client.post("/mcp", json=CALL, headers=JSON | headers)
                assert answer.status_code == status, (headers, answer.text)
            for body in (b"", b"{", b"[]", b'{"jsonrpc": "2.0"}', b"\xff" * 9):
                answer = await client.post("/mcp", content=body, headers=JSON | known)
                assert 400 <= answer.status_code < 500, body


async def test_without_the_package_it_is_told_what_to_install(settings, application, monkeypatch):
    monkeypatch.setattr("rag_app.web.mcp.server.find_spec", lambda _: None)
    tools = ToolsOverHttp(lambda: make_server(application, settings))
    async with serving(application, tools=tools) as served:
        async with httpx.AsyncClient(base_url=served.address, trust_env=False) as client:
            for _ in range(2):
                answer = await client.post("/mcp", json=CALL, headers=JSON)
                assert answer.status_code == 400
                assert answer.json()["error"]["hint"] == "pip install 'rag-app[mcp]'"


async def test_a_package_that_breaks_fails_each_request_and_holds_nothing_up(application):
    def broken():
        raise ImportError("half of the package is missing")

    async with serving(application, tools=ToolsOverHttp(broken)) as served:
        async with httpx.AsyncClient(base_url=served.address, trust_env=False) as client:
            for _ in range(2):
                answer = await client.post("/mcp", json=CALL, headers=JSON, timeout=20)
                assert answer.status_code == 500
    with pytest.raises(RuntimeError, match="after shutdown"):
        await application.create_collection("c")
