"""Health: liveness has no dependencies, readiness queries the database."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from starlette.types import Receive, Scope, Send

from mscr.server.status import STATE_KEY, ServerStatus
from mscr.testing.callers import server_that_never_answers
from mscr.testing.problems import problem


async def test_health_returns_the_version(client: AsyncClient) -> None:
    response = await client.get("/health")
    assert response.json()["data"] == {"status": "ok", "version": "0.1.0"}


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_a_healthy_process_is_live_and_ready(client: AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.json()["data"]) == (200, {"status": "ok"})


class TestWithADatabaseThatWasNotMigrated:
    @pytest.fixture
    def template(self, backend: str, tmp_path: Path) -> str:
        if backend == "postgresql":
            return "template1"
        (tmp_path / "empty.db").touch()
        return str(tmp_path / "empty.db")

    async def test_it_is_not_ready(self, client: AsyncClient) -> None:
        """RL1: otherwise a rollout without its migration would go on."""
        assert (await client.get("/health/live")).status_code == 200
        body = problem(await client.get("/health/ready"), 503, "service_unavailable")
        assert "migrated" in body["detail"]

    async def test_a_request_is_an_internal_error_and_no_outage(self, client: AsyncClient) -> None:
        """ER1: 500 instead of 503, because retrying would not help."""
        body = {"email": "ada@example.com", "password": "correct horse battery"}
        problem(await client.post("/api/v1/auth/login", json=body), 500, "internal_error")


class TestWithADatabaseThatNeverAnswers:
    @pytest.fixture
    async def database_url(self) -> AsyncIterator[str]:
        async with server_that_never_answers() as port:
            yield f"postgresql+asyncpg://nobody@127.0.0.1:{port}/nothing"

    async def test_readiness_gives_up_before_the_probe_does(
        self, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deadline = timedelta(seconds=0.05)
        monkeypatch.setattr("mscr.services.health_service.READY_DEADLINE", deadline)
        asked = time.monotonic()
        problem(await client.get("/health/ready"), 503, "service_unavailable")
        assert time.monotonic() - asked < 1


@pytest.mark.parametrize(("path", "status"), [("", 503), ("/ready", 503), ("/live", 200)])
async def test_readiness_fails_at_once_when_the_server_drains(
    app: FastAPI, path: str, status: int
) -> None:
    async def draining(scope: Scope, receive: Receive, send: Send) -> None:
        state = {STATE_KEY: ServerStatus(is_draining=True)}
        await app({**scope, "state": state}, receive, send)

    async with AsyncClient(
        transport=ASGITransport(app=draining), base_url="http://localhost"
    ) as client:
        answer = await client.get(f"/health{path}")

    assert answer.status_code == status
