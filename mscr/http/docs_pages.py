"""The documentation pages, served without other hosts and with their own security policy."""

import asyncio
import base64
import hashlib
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import (
    get_redoc_html,
    get_swagger_ui_html,
    get_swagger_ui_oauth2_redirect_html,
)
from fastapi.staticfiles import StaticFiles
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.types import Scope

OPENAPI_PATH = "/openapi.json"
ASSETS_PATH = "/docs-assets"
REDOC_SCRIPT = "redoc.standalone.js"
# ReDoc loads its maker's logo from their host, which reveals the reader of the page to them.
REDOC_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"


class DocsAssets(StaticFiles):
    """The installed files, except that ReDoc's script does not call another host."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if path == REDOC_SCRIPT and isinstance(response, FileResponse):
            script = await asyncio.to_thread(Path(response.path).read_bytes)
            # The script omits an image that cannot be shown.
            script = script.replace(REDOC_LOGO, b"data:,")
            return Response(script, media_type=response.media_type)
        return response


def install_docs_pages(app: FastAPI, prefix: str) -> None:
    """Serve /docs, /redoc, their document and their assets, all below this path prefix."""
    document_path, assets_path = f"{prefix}{OPENAPI_PATH}", f"{prefix}{ASSETS_PATH}"
    redirect_path = f"{prefix}/docs/oauth2-redirect"

    # Not `add_route`: the application's dependencies, such as rate limits, need a route of FastAPI.
    @app.get(document_path, include_in_schema=False)
    async def document(request: Request) -> Response:
        return JSONResponse(_behind(_root_path(request), app.openapi()))

    app.mount(assets_path, DocsAssets(directory=_assets_directory()), name="docs-assets")

    @app.get(f"{prefix}/docs", include_in_schema=False)
    async def swagger(request: Request) -> Response:
        root = _root_path(request)
        return _page(
            get_swagger_ui_html(
                openapi_url=f"{root}{document_path}",
                title=f"{app.title} - Swagger UI",
                oauth2_redirect_url=f"{root}{redirect_path}",
                swagger_js_url=f"{root}{assets_path}/swagger-ui-bundle.js",
                swagger_css_url=f"{root}{assets_path}/swagger-ui.css",
                swagger_favicon_url=f"{root}{assets_path}/favicon.png",
            )
        )

    @app.get(redirect_path, include_in_schema=False)
    async def oauth2_redirect() -> Response:
        return _page(get_swagger_ui_oauth2_redirect_html())

    @app.get(f"{prefix}/redoc", include_in_schema=False)
    async def redoc(request: Request) -> Response:
        root = _root_path(request)
        return _page(
            get_redoc_html(
                openapi_url=f"{root}{document_path}",
                title=f"{app.title} - ReDoc",
                redoc_js_url=f"{root}{assets_path}/{REDOC_SCRIPT}",
                redoc_favicon_url=f"{root}{assets_path}/favicon.png",
                with_google_fonts=False,
            )
        )


def _behind(root: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the URLs that are valid behind a path prefix.

    The committed document has no prefix: `servers` adds it. A token URL begins with a slash, is
    therefore resolved against the host, and gets the prefix itself.
    """
    if not root:
        return schema
    components = dict(schema["components"])
    components["securitySchemes"] = {
        name: scheme if "flows" not in scheme else {**scheme, "flows": _flows_behind(root, scheme)}
        for name, scheme in components["securitySchemes"].items()
    }
    return {**schema, "servers": [{"url": root}], "components": components}


def _flows_behind(root: str, scheme: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {**flow, "tokenUrl": f"{root}{flow['tokenUrl']}"}
        for name, flow in scheme["flows"].items()
    }


def _page(page: HTMLResponse) -> HTMLResponse:
    # Allow the inline scripts of the framework's pages by their digests, and no others.
    scripts = re.findall(rb"<script>(.*?)</script>", page.body, re.DOTALL)
    digests = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    page.headers["content-security-policy"] = (
        f"default-src 'none'; script-src 'self' {digests}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return page


def _sha256(script: bytes) -> str:
    return base64.b64encode(hashlib.sha256(script).digest()).decode()


def _root_path(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _assets_directory() -> Path:
    return Path(str(files("fastapi_offline"))) / "static"
