"""Logs of 503 and 429: the dependency or limit that caused it, and the setting behind it."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from structlog.testing import capture_logs

from examples.catalogue.core.config import Settings
from examples.catalogue.main import create_app
from examples.catalogue.tests.api import Api
from mscr.core.log_budget import LogBudget
from mscr.http import problems
from mscr.testing.api import PASSWORD
from mscr.testing.applications import running
from mscr.testing.databases import on_sqlite
from mscr.testing.hashing import busy_hashing
from mscr.tests.data.faults import assert_unavailable

LOGIN = "/api/v1/auth/login"

pytestmark = on_sqlite

UNREACHABLE = {
    "a port that refuses": ("me:hunter2@127.0.0.1:1/app", "refused"),
    "a host that is unknown": ("me:hunter2@nowhere.invalid/app", "host name"),
    "a socket that is not there": ("me:hunter2@localhost/app?host=/nowhere", "does not exist"),
}


@pytest.mark.parametrize("fault", UNREACHABLE.values(), ids=UNREACHABLE.keys())
async def test_a_database_that_cannot_be_reached_is_logged_with_its_cause(
    settings: Settings, fault: tuple[str, str]
) -> None:
    address, cause = fault
    url = f"postgresql+asyncpg://{address}"
    async with running(create_app(settings.model_copy(update={"DATABASE_URL": url}))) as client:
        with capture_logs() as logs:
            response = await client.get("/health/ready")

    assert_unavailable(response)
    (line,) = [entry for entry in logs if entry["event"] == "database_error"]
    assert cause in line["reason"]
    assert "DATABASE_URL" in line["remedy"] or "path" in line["remedy"]
    assert "hunter2" not in str(line)
    # The response does not reveal the cause.
    assert cause not in response.text


@pytest.mark.settings(PASSWORD_HASH_QUEUE=1)
async def test_a_full_queue_of_hashes_is_logged_with_its_settings(
    app: FastAPI, client: AsyncClient
) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    passwords = app.state.collaborators.passwords
    with capture_logs() as logs:
        async with busy_hashing(passwords, jobs=2):
            response = await client.post(LOGIN, json=body)

    assert_unavailable(response)
    (line,) = [entry for entry in logs if entry["event"] == "service_unavailable"]
    assert "2 password hashes" in line["reason"]
    assert "PASSWORD_HASH_QUEUE" in line["remedy"]


@pytest.mark.settings(RATE_LIMIT_ENABLED=True)
async def test_an_unreachable_store_is_logged_with_its_cause(settings: Settings) -> None:
    url = SecretStr("redis://:hunter2@127.0.0.1:1/0")
    body = {"email": "ada@example.com", "password": PASSWORD}
    async with running(create_app(settings.model_copy(update={"REDIS_URL": url}))) as client:
        with capture_logs() as logs:
            response = await client.post(LOGIN, json=body)

    assert_unavailable(response)
    (line,) = [entry for entry in logs if entry["event"] == "service_unavailable"]
    assert "REDIS_URL" in line["reason"]
    assert "refused" in line["reason"]
    assert "hunter2" not in str(logs)


@pytest.mark.settings(RATE_LIMIT_ENABLED=True, AUTH_RATE_LIMIT_ACCOUNT="2/minute")
async def test_a_limit_is_logged_with_its_policy_and_not_for_each_request(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "_LIMIT_LINES", LogBudget(problems.LIMIT_LINE_INTERVAL))
    body = {"email": "ada@example.com", "password": PASSWORD}
    with capture_logs() as logs:
        statuses = [(await api.client.post(LOGIN, json=body)).status_code for _ in range(6)]

    assert statuses == [401, 401, 429, 429, 429, 429]
    (line,) = [entry for entry in logs if entry["event"] == "limit_exceeded"]
    assert (line["policy"], line["quota"], line["window_seconds"]) == ("account", 2, 60)
    assert line["setting"] == "AUTH_RATE_LIMIT_ACCOUNT"
