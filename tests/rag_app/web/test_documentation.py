"""The API's page loads nothing from elsewhere, and describes what is there."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from rag_app.application import Application
from rag_app.web.access import Access
from tests.rag_app.served import TOKEN, serving

METHODS = {"get", "post", "put", "delete"}


@pytest.fixture
async def client(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(application) as served:
        async with httpx.AsyncClient(base_url=served.address, trust_env=False) as client:
            yield client


@pytest.fixture
async def described(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = (await client.get("/openapi.json")).json()
    assert answer["openapi"].startswith("3.1")
    return answer


async def test_the_page_loads_all_of_its_parts_from_here(client):
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text
    loaded = re.findall(r"""(?:src|href)="([^"]+)"|url: '([^']+)'""", page.text)
    parts = [a or b for a, b in loaded]
    assert len(parts) == 4, parts
    for part in parts:
        assert not part.startswith("/"), "relative, so that a proxy may put it elsewhere"
        assert (await client.get(f"/{part}")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/docs/assets/../core.py", "/docs/assets/%2e%2e/core.py", "/redoc"]
)
async def test_nothing_else_is_served_with_it(client, path):
    assert (await client.get(path)).status_code == 404


async def test_every_route_says_what_it_does_gives_and_how_it_fails(described):
    names = []
    for path, item in described["paths"].items():
        for method in METHODS & item.keys():
            route = item[method]
            names.append(route["operationId"])
            assert route["summary"].endswith("."), path
            assert route["description"], path
            for content in route["responses"]["200"]["content"].values():
                assert content["schema"], path
            failing = [route["responses"][code] for code in ("4XX", "5XX")]
            for one in failing:
                kind = "OpenAIError" if path.startswith("/v1/") else "ErrorBody"
                schema = one["content"]["application/json"]["schema"]
                assert schema == {"$ref": f"#/components/schemas/{kind}"}, path
            assert "422" not in route["responses"], path
    assert len(names) == len(set(names)) > 20


async def test_every_reference_of_the_description_leads_somewhere(described):
    references = set(re.findall(r"'#/components/schemas/([^']+)'", str(described)))
    assert references <= described["components"]["schemas"].keys()
    assert {"Answer", "SearchResult", "IngestReport", "ErrorBody"} <= references


async def test_a_stranger_sees_neither_where_a_password_is_set(application):
    async with serving(application, Access(TOKEN, "admin", "the-password")) as served:
        async with httpx.AsyncClient(base_url=served.address, trust_env=False) as client:
            for path in ("/docs", "/openapi.json", "/docs/assets/swagger-ui.css"):
                assert (await client.get(path)).status_code == 401
                assert (await client.get(path, auth=("admin", "the-password"))).status_code == 200
