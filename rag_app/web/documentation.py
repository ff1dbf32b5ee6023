"""The page that shows the API, with all that it loads on this server, and what it is made from."""

from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles

_SCHEMA: Final = "/openapi.json"
_ASSETS: Final = "/docs/assets"
_SECURITY: Final = {
    "password": {"type": "http", "scheme": "basic"},
    "key": {"type": "http", "scheme": "bearer", "description": "The password, or an API key."},
}


def add_documentation(app: FastAPI, mounted: FastAPI, prefix: str) -> None:
    """Serve `/docs` and `/openapi.json`."""
    router = APIRouter(include_in_schema=False)

    @router.get(_SCHEMA)
    async def schema() -> JSONResponse:
        return JSONResponse(_merged(app, mounted, prefix))

    @router.get("/docs")
    async def page() -> HTMLResponse:
        # addresses relative to the page, which may lie below another one's
        assets = _ASSETS.lstrip("/")
        return get_swagger_ui_html(
            openapi_url=_SCHEMA.lstrip("/"),
            title=f"{app.title}: API",
            swagger_js_url=f"{assets}/swagger-ui-bundle.js",
            swagger_css_url=f"{assets}/swagger-ui.css",
            swagger_favicon_url=f"{assets}/favicon.png",
            swagger_ui_parameters={"validatorUrl": None, "docExpansion": "list"},
        )

    app.include_router(router)
    app.mount(_ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))


def _merged(app: FastAPI, mounted: FastAPI, prefix: str) -> dict[str, Any]:
    """The description of both, as OpenAPI 3.1."""
    whole, part = app.openapi(), mounted.openapi()
    paths = {f"{prefix}{path}": item for path, item in part["paths"].items()}
    schemas = part["components"]["schemas"] | whole["components"]["schemas"]
    return {
        **whole,
        "paths": whole["paths"] | paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
        "security": [{}, *({name: []} for name in _SECURITY)],  # without a password, none
    }
