"""Parameters that dependencies read from the request themselves appear in OpenAPI once."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from mscr.http.openapi import install_openapi
from mscr.http.request_parameters import documents, header_parameter


async def test_a_dependency_that_is_reached_twice_is_documented_once() -> None:
    @documents([header_parameter("X-Depth", "How deep.", {"type": "integer"})])
    async def get_depth(request: Request) -> str | None:
        return request.headers.get("X-Depth")

    async def get_doubled(depth: Annotated[str | None, Depends(get_depth)]) -> str:
        return f"{depth}{depth}"

    app = FastAPI()
    install_openapi(app)

    @app.get("/deep")
    async def show(
        depth: Annotated[str | None, Depends(get_depth)],
        doubled: Annotated[str, Depends(get_doubled)],
        page: int = 1,
    ) -> str:
        return f"{depth}{doubled}{page}"

    parameters: list[dict[str, Any]] = app.openapi()["paths"]["/deep"]["get"]["parameters"]

    assert [(each["name"], each["in"]) for each in parameters] == [
        ("page", "query"),
        ("X-Depth", "header"),
    ]
