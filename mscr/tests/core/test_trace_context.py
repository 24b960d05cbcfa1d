"""A caller's `traceparent`: its trace id is in every log line of the request and of its jobs."""

import asyncio
from typing import Any, Final

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from examples.catalogue.tests.api import Api
from mscr.testing.api import PASSWORD
from mscr.testing.databases import on_sqlite
from mscr.testing.mail_registration import REGISTER
from mscr.tests.core.conftest import Printed
from mscr.tests.core.test_logging import json_lines, parsed, register

LIVE: Final = "/health/live"
TRACE_ID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = "00f067aa0ba902b7"
TRACEPARENT: Final = f"00-{TRACE_ID}-{PARENT}-01"

pytestmark = json_lines


def ids_of(printed: Printed) -> dict[str, str | None]:
    return {line["event"]: line.get("trace_id") for line in parsed(printed())}


@on_sqlite
async def test_every_line_of_a_request_has_the_callers_trace(api: Api, printed: Printed) -> None:
    await register(api, traceparent=TRACEPARENT)

    assert ids_of(printed) == {"audit": TRACE_ID, "request": TRACE_ID}


@on_sqlite
async def test_the_line_of_an_unhandled_error_has_the_callers_trace(
    app: FastAPI, client: AsyncClient, printed: Printed
) -> None:
    @app.get("/fails")
    async def fail() -> None:
        raise RuntimeError

    response = await client.get("/fails", headers={"traceparent": TRACEPARENT})

    assert response.status_code == 500
    assert ids_of(printed) == {"unhandled_error": TRACE_ID, "request": TRACE_ID}


@pytest.mark.settings(REGISTRATION_BY_MAIL=True, LOG_JSON=True)
async def test_every_line_of_a_requests_job_has_the_callers_trace(
    app: FastAPI, client: AsyncClient, printed: Printed
) -> None:
    body = {"email": "canary@example.com", "password": PASSWORD}
    headers = {"traceparent": TRACEPARENT, "X-Request-ID": "order-66"}
    await client.post(REGISTER, json=body, headers=headers)
    await app.state.jobs.join()

    lines = [line for line in parsed(printed()) if "job" in line]
    assert {"mail_sent", "job_done"} <= {line["event"] for line in lines}
    assert {(line["trace_id"], line["request_id"]) for line in lines} == {(TRACE_ID, "order-66")}


@pytest.mark.settings(REGISTRATION_BY_MAIL=True, LOG_JSON=True)
async def test_a_request_without_a_trace_and_its_jobs_have_none(
    app: FastAPI, client: AsyncClient, printed: Printed
) -> None:
    body = {"email": "canary@example.com", "password": PASSWORD}
    await client.post(REGISTER, json=body)
    await app.state.jobs.join()

    assert {"request", "job_done"} <= ids_of(printed).keys()
    assert [line for line in parsed(printed()) if "trace_id" in line] == []


@on_sqlite
async def test_parallel_requests_keep_their_own_traces(
    client: AsyncClient, printed: Printed
) -> None:
    traces = [f"{number:032x}" for number in range(1, 6)]

    async def get(trace: str) -> None:
        headers = {"traceparent": f"00-{trace}-{PARENT}-00", "X-Request-ID": f"request-{trace}"}
        await client.get(LIVE, headers=headers)

    await asyncio.gather(*map(get, traces))

    lines = parsed(printed())
    assert sorted(line["trace_id"] for line in lines) == traces
    assert all(line["request_id"] == f"request-{line['trace_id']}" for line in lines)


@on_sqlite
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(TRACEPARENT, id="sampled"),
        pytest.param(f"00-{TRACE_ID}-{PARENT}-02", id="random trace id (Level 2)"),
        pytest.param(f"00-{TRACE_ID}-{PARENT}-ff", id="unknown flags"),
        pytest.param(f"cc-{TRACE_ID}-{PARENT}-01", id="a later version"),
        pytest.param(f"cc-{TRACE_ID}-{PARENT}-01-what-the-future-brings", id="with more fields"),
    ],
)
async def test_a_valid_trace_is_logged(client: AsyncClient, printed: Printed, value: str) -> None:
    await client.get(LIVE, headers={"traceparent": value})

    assert ids_of(printed) == {"request": TRACE_ID}


@on_sqlite
@pytest.mark.parametrize(
    "values",
    [
        pytest.param([""], id="empty"),
        pytest.param([f"00-{'0' * 32}-{PARENT}-01"], id="a trace id of zeros"),
        pytest.param([f"00-{TRACE_ID}-{'0' * 16}-01"], id="a parent id of zeros"),
        pytest.param([f"ff-{TRACE_ID}-{PARENT}-01"], id="version ff"),
        pytest.param([f"00-{TRACE_ID.upper()}-{PARENT}-01"], id="upper case"),
        pytest.param([f"00-{TRACE_ID}-{PARENT}-01-more"], id="version 00 with more fields"),
        pytest.param([f"00-{TRACE_ID}-{PARENT}-01-"], id="version 00 with a dash"),
        pytest.param([f"cc-{TRACE_ID}-{PARENT}-01.more"], id="more fields without a dash"),
        pytest.param([f"cc-{TRACE_ID}-{PARENT}-01-{'x' * 201}"], id="too long"),
        pytest.param([f"00-{TRACE_ID[:-1]}-{PARENT}-01"], id="a short trace id"),
        pytest.param([f"00-{TRACE_ID[:-1]}g-{PARENT}-01"], id="no hexadecimal number"),
        pytest.param([f"00-{TRACE_ID}-{PARENT}"], id="without flags"),
        pytest.param([f"00_{TRACE_ID}_{PARENT}_01"], id="other separators"),
        pytest.param([TRACEPARENT, TRACEPARENT], id="twice"),
    ],
)
async def test_an_invalid_trace_is_ignored(
    client: AsyncClient, printed: Printed, values: list[str]
) -> None:
    headers: Any = [("traceparent", value) for value in values]
    response = await client.get(LIVE, headers=headers)

    assert response.status_code == 200
    assert ids_of(printed) == {"request": None}


@on_sqlite
@pytest.mark.settings(CORS_ORIGINS=["https://app.example.com"])
async def test_pages_of_other_origins_may_send_their_trace(client: AsyncClient) -> None:
    response = await client.options(
        "/api/v1/items",
        headers={
            "Origin": "https://app.example.com",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "traceparent,tracestate",
        },
    )

    assert response.status_code == 200
