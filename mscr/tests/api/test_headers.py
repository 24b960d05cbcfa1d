"""Security headers of every response, and CORS."""

from collections import Counter
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from structlog.testing import capture_logs

from examples.catalogue.tests.api import Api
from mscr.core.exceptions import ServiceUnavailableError
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem
from mscr.tests.support import statuses
from mscr.tests.support.statuses import answer_of_every_status

ITEMS = "/api/v1/items"
SECURITY = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@on_sqlite
@statuses.limited
async def test_responses_of_every_status_have_the_security_headers(api: Api, app: FastAPI) -> None:
    """HD1."""
    answers = await answer_of_every_status(api, app)

    assert answers.keys() == statuses.STATUSES
    for status, response in answers.items():
        assert {name: response.headers.get(name) for name in SECURITY} == SECURITY, status


@on_sqlite
@statuses.limited
async def test_no_header_is_repeated_or_reveals_the_server_software(api: Api, app: FastAPI) -> None:
    """HD1."""
    for response in (await answer_of_every_status(api, app)).values():
        names = Counter(name.lower() for name, _ in response.headers.raw)
        assert set(names.values()) == {1}
        assert not {b"server", b"x-powered-by", b"date"} & names.keys()


@on_sqlite
@statuses.limited
async def test_hsts_is_sent_over_tls_only(api: Api, app: FastAPI) -> None:
    """HD1."""
    plain = await answer_of_every_status(api, app)
    assert not any("strict-transport-security" in response.headers for response in plain.values())

    transport = ASGITransport(app=app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="https://testserver") as client:
        for path in ("/health/live", "/nothing", "/fails", "/away", "/docs"):
            header = (await client.get(path)).headers["strict-transport-security"]
            assert header == "max-age=31536000; includeSubDomains"


ORIGIN = "https://app.example.com"
STRANGERS = [
    "null",
    "",
    "https://app.example.com.evil.com",
    "https://evil-app.example.com",
    "https://evil.com/https://app.example.com",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com/",
    "https://example.com",
    "https://other.app.example.com",
    "https://app.example.com https://evil.com",
    "*",
]
EXPOSED = (
    "Content-Disposition, ETag, Idempotency-Replayed, Link, Location, RateLimit, "
    "RateLimit-Policy, Retry-After, X-Request-ID"
)
PREFLIGHT = {
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization, content-type",
}
with_origins = pytest.mark.settings(CORS_ORIGINS=[ORIGIN, "https://admin.example.com"])


@on_sqlite
@with_origins
async def test_a_listed_origin_may_read_responses_and_errors(client: AsyncClient) -> None:
    """HD2."""
    for path in ("/health/live", "/nothing", ITEMS):
        response = await client.get(path, headers={"Origin": ORIGIN})
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert response.headers["access-control-expose-headers"] == EXPOSED
        assert "origin" in response.headers["vary"].lower()


@on_sqlite
@with_origins
async def test_no_other_origin_may_read_responses(client: AsyncClient) -> None:
    """HD2: nor do responses reveal the listed origins."""
    for origin in STRANGERS:
        for method, path in (("GET", "/health/live"), ("GET", "/nothing"), ("OPTIONS", ITEMS)):
            response = await client.request(method, path, headers={"Origin": origin} | PREFLIGHT)
            assert "access-control-allow-origin" not in response.headers, origin
            assert "app.example.com" not in response.text + str(response.headers)


@on_sqlite
@with_origins
async def test_a_preflight_of_a_listed_origin_is_allowed(client: AsyncClient) -> None:
    """HD2."""
    response = await client.options(ITEMS, headers={"Origin": ORIGIN} | PREFLIGHT)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-methods"] == "DELETE, GET, PATCH, POST, PUT"
    allowed = response.headers["access-control-allow-headers"].lower()
    assert set(allowed.split(", ")) >= {
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "x-request-id",
    }


@on_sqlite
@with_origins
@pytest.mark.parametrize(
    "asked",
    [
        {"Access-Control-Request-Method": "TRACE"},
        {"Access-Control-Request-Headers": "x-evil"},
        {"Origin": "null"},
    ],
)
async def test_a_preflight_for_an_unlisted_method_header_or_origin_is_refused(
    client: AsyncClient, asked: dict[str, str]
) -> None:
    """HD2."""
    response = await client.options(ITEMS, headers={"Origin": ORIGIN} | PREFLIGHT | asked)

    detail = problem(response, 400, "preflight_refused")["detail"]
    assert [word for word in ("origin", "method", "headers") if word in detail.split(": ")[1]]
    assert "evil" not in response.text


@on_sqlite
@with_origins
async def test_a_refused_preflight_is_logged_with_the_setting_that_would_allow_it(
    client: AsyncClient,
) -> None:
    asked = {"Origin": "http://localhost:3001", "Access-Control-Request-Headers": "x-version"}
    with capture_logs() as logs:
        await client.options(ITEMS, headers=PREFLIGHT | asked)

    [line] = [line for line in logs if line["event"] == "preflight_refused"]
    assert (line["origin"], line["headers"]) == ("http://localhost:3001", "x-version")
    assert line["settings"] == ["CORS_ORIGINS", "CORS_ALLOWED_HEADERS"]


@on_sqlite
@with_origins
async def test_the_methods_of_a_preflight_are_those_of_the_routes(
    app: FastAPI, client: AsyncClient
) -> None:
    """HD2: a new route needs no entry in a list."""
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "TRACE"}
    problem(await client.options("/things", headers=asked), 400, "preflight_refused")

    @app.trace("/things")
    async def trace() -> None: ...

    assert (await client.options("/things", headers=asked)).status_code == 200


@on_sqlite
@pytest.mark.settings(
    CORS_ORIGINS=[ORIGIN], CORS_ALLOWED_HEADERS="X-Client-Version, X-B", CORS_EXPOSED_HEADERS="X-C"
)
async def test_settings_add_headers(client: AsyncClient) -> None:
    asked = {
        **PREFLIGHT,
        "Origin": ORIGIN,
        "Access-Control-Request-Headers": "x-b,x-client-version",
    }
    response = await client.get("/health/live", headers={"Origin": ORIGIN})

    assert (await client.options(ITEMS, headers=asked)).status_code == 200
    assert response.headers["access-control-expose-headers"] == f"{EXPOSED}, X-C"


@on_sqlite
@pytest.mark.settings(
    CORS_ORIGINS=[ORIGIN],
    ALLOWED_HOSTS=["testserver"],
    MAX_BODY_BYTES=1024,
    API_RATE_LIMIT="1/minute",
)
async def test_a_page_may_read_the_responses_of_middleware(
    app: FastAPI, client: AsyncClient, subtests: pytest.Subtests
) -> None:
    """HD2: otherwise a page gets a CORS error instead of, say, 413."""

    @app.get("/fails")
    async def fail() -> None:
        raise RuntimeError

    @app.get("/waits")
    async def wait() -> None:
        raise ServiceUnavailableError

    requests: dict[int, dict[str, Any]] = {
        400: {"url": "/nothing", "headers": {"Host": "other.example"}},
        404: {"url": "/nothing"},
        405: {"method": "DELETE"},
        413: {"method": "POST", "url": "/nothing", "content": b"x" * 2000},
        415: {"method": "POST", "url": "/nothing", "headers": {"Content-Encoding": "gzip"}},
        431: {"headers": {"X-Long": "x" * 70_000}},
        500: {"url": "/fails"},
        503: {"url": "/waits"},
    }
    for status, request in requests.items():
        with subtests.test(str(status)):
            whole = {"method": "GET", "url": "/health/live", **request}
            headers = {"Origin": ORIGIN, **whole.pop("headers", {})}
            response = await client.request(**whole, headers=headers)
            assert response.status_code == status
            assert response.headers["access-control-allow-origin"] == ORIGIN
            assert response.headers["x-request-id"]


@on_sqlite
@pytest.mark.parametrize(
    "origins",
    [
        pytest.param([ORIGIN], marks=with_origins),
        pytest.param(["*"], marks=pytest.mark.settings(CORS_ORIGINS=["*"])),
        [],
    ],
)
async def test_credentials_of_browsers_are_never_allowed(
    client: AsyncClient, origins: list[str]
) -> None:
    """HD2: `*` with credentials would let any page act for its visitors (CSRF)."""
    for method in ("GET", "OPTIONS"):
        response = await client.request(method, ITEMS, headers={"Origin": ORIGIN} | PREFLIGHT)
        assert "access-control-allow-credentials" not in response.headers


@on_sqlite
async def test_without_listed_origins_no_preflight_is_allowed(client: AsyncClient) -> None:
    """HD2."""
    for method in ("GET", "OPTIONS"):
        response = await client.request(method, ITEMS, headers={"Origin": ORIGIN} | PREFLIGHT)
        assert not [name for name in response.headers if name.startswith("access-control-")]


@on_sqlite
@with_origins
async def test_preflights_have_the_security_headers_too(client: AsyncClient) -> None:
    """HD1."""
    response = await client.options(ITEMS, headers={"Origin": ORIGIN} | PREFLIGHT)
    assert {name: response.headers.get(name) for name in SECURITY} == SECURITY


@on_sqlite
async def test_options_without_a_preflight_is_405(client: AsyncClient) -> None:
    """IN5."""
    problem(await client.options(ITEMS), 405, "method_not_allowed")
