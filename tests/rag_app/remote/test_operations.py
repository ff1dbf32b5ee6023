import inspect

from fastapi import FastAPI

from rag_app.remote.operations import OPERATIONS
from rag_app.service import Service
from rag_app.web.access import Access
from rag_app.web.api import api


def test_every_method_of_the_service_is_an_operation_but_closing():
    methods = {name for name in vars(Service) if not name.startswith("_")}
    assert {operation.name for operation in OPERATIONS} == methods - {"close"}
    assert len(OPERATIONS) == len(methods) - 1


def test_every_parameter_goes_somewhere():
    for operation in OPERATIONS:
        sent = {each.name for part in operation.parts.values() for each in part}
        assert sent | {"on_progress", operation.upload} >= set(operation.signature.parameters)
        assert operation.signature.return_annotation is not inspect.Signature.empty


async def test_the_page_of_the_api_shows_every_operation_with_its_arguments(application):
    app = FastAPI()
    app.include_router(api(application, Access()), prefix="/api")
    paths = app.openapi()["paths"]
    for operation in OPERATIONS:
        shown = paths[f"/api{operation.path}"][operation.method.lower()]
        assert shown["description"].startswith(operation.help.split("\n")[0])
        named = {each["name"] for each in shown.get("parameters", [])}
        expected = {each.name for part in ("path", "query") for each in operation.parts[part]}
        assert named == expected | ({"stream"} if operation.whole else set())
        assert ("requestBody" in shown) == bool(operation.body or operation.upload)
