"""docs/database.md: its steps rename a column without downtime, under traffic."""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from httpx2 import AsyncClient, TransportError
from sqlalchemy import NullPool, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.config import PROJECT_ROOT
from mscr.db.migrations import alembic_config
from mscr.testing.api import PASSWORD
from mscr.testing.databases import on_postgresql
from tests.docs.markdown import code_blocks
from tests.docs.project_copy import ProjectCopy

BLOCKS = {
    block.code.partition("\n")[0].removeprefix("# "): block.code.partition("\n")[2]
    for block in code_blocks(PROJECT_ROOT / "docs/database.md")
}
HEADER = """import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = "{parent}"
branch_labels = depends_on = None

"""
ME = "/api/v1/users/me"
OLD_COLUMN = "    full_name: Mapped[str | None] = mapped_column(String(200), info=PERSONAL)\n"
PATIENCE_SECONDS = 60


class Rollout:
    """A copy of the project that moves through the releases; running processes keep their own."""

    def __init__(self, copy: ProjectCopy, database_url: str) -> None:
        self.copy = copy
        self._model = copy.path / "app/models/user.py"
        self._original = self._model.read_text()
        self.settings = {
            "DATABASE_URL": database_url,
            "SECRET_KEY": "0123456789abcdef" * 4,
            "JWT_SECRET_KEY": "fedcba9876543210" * 4,
            "RATE_LIMIT_ENABLED": "false",
            "ARGON2_MEMORY_KIB": "8",
            "ARGON2_TIME_COST": "1",
            # Nothing reads their output, and a full pipe would block the process.
            "LOG_LEVEL": "ERROR",
            "ACCESS_LOG": "false",
        }

    async def migrate(self, name: str) -> None:
        """Add this migration of the page, check its locks, and apply it."""
        parent = ScriptDirectory.from_config(alembic_config_of(self.copy)).get_current_head()
        path = f"migrations/versions/{name}.py"
        header = HEADER.format(name=name, parent=parent)
        (self.copy.path / path).write_text(header + BLOCKS[path])
        await self.run("python -m migrations.check_locks && alembic upgrade head")

    async def run(self, script: str) -> None:
        await asyncio.to_thread(self.copy.run, script, **self.settings)

    def change_code(self, stage: str) -> None:
        """Edit the model as the page does at this stage."""
        assert OLD_COLUMN in self._original
        imports, _, lines = BLOCKS[f"app/models/user.py ({stage})"].rpartition("\n\n    full_name")
        if imports:
            lines = f"    full_name{lines}"
        text = self._original.replace(OLD_COLUMN, lines)
        self._model.write_text(text.replace("\nfrom app", f"\n{imports}\nfrom app", 1))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Run a process of the current release until the end of the block, and yield its URL."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = self.copy.start("exec python cli.py serve", PORT=str(port), **self.settings)
        try:
            await self._wait_until_ready(process, f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.communicate)

    @staticmethod
    async def _wait_until_ready(process: subprocess.Popen[str], url: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        async with AsyncClient() as client:
            while True:
                with suppress(TransportError):
                    if (await client.get(f"{url}/health/ready")).status_code == 200:
                        return
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)


class Traffic:
    """A user who keeps changing their name through one process and reading it through another."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._urls: list[str] = []
        self._round = asyncio.Condition()
        self.headers: dict[str, str] = {}
        self.faults: list[Any] = []
        self.rounds = 0

    async def go_on_with(self, *urls: str) -> None:
        """Switch the traffic to these URLs; return when requests to others have ended."""
        self._urls = list(urls)
        async with self._round:
            for _ in range(4):
                await self._round.wait()

    async def flow(self, url: str) -> None:
        self._urls = [url]
        while True:
            name = f"Name {self.rounds}"
            urls = self._urls
            writer, reader = urls[self.rounds % len(urls)], urls[(self.rounds + 1) % len(urls)]
            written = await self._client.patch(
                writer + ME, json={"full_name": name}, headers=self.headers
            )
            seen = await name_of(self._client, reader, self.headers)
            if (written.status_code, seen) != (200, name):
                self.faults.append((written.status_code, seen, name))
            self.rounds += 1
            async with self._round:
                self._round.notify_all()


async def name_of(client: AsyncClient, url: str, headers: dict[str, str]) -> Any:
    response = await client.get(url + ME, headers=headers)
    return response.json()["data"]["full_name"] if response.status_code == 200 else response.text


async def columns_of_users(url: str) -> set[str]:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        columns = await connection.run_sync(lambda sync: inspect(sync).get_columns("users"))
    return {column["name"] for column in columns}


async def register(client: AsyncClient, url: str, name: str) -> dict[str, str]:
    body = {"email": f"{name}@example.com", "password": PASSWORD, "full_name": name}
    response = await client.post(f"{url}/api/v1/auth/register", json=body)
    return {"Authorization": f"Bearer {response.json()['data']['access_token']}"}


def alembic_config_of(copy: ProjectCopy) -> Any:
    config = alembic_config(PROJECT_ROOT)
    config.set_main_option("script_location", str(copy.path / "migrations"))
    return config


@on_postgresql
@pytest.mark.timeout(240)
async def test_a_column_is_renamed_while_old_and_new_processes_serve_requests(
    database_url: str, tmp_path: Path
) -> None:
    """RL11: no request fails or sees an old name, and no name is lost."""
    rollout = Rollout(ProjectCopy(tmp_path / "project", PROJECT_ROOT), database_url)
    async with AsyncClient(timeout=PATIENCE_SECONDS) as client:
        traffic = Traffic(client)
        await asyncio.wait_for(roll_out(rollout, traffic, client), 200)

    columns = await columns_of_users(database_url)
    assert traffic.faults == []
    assert traffic.rounds > 20
    assert "display_name" in columns
    assert "full_name" not in columns


async def roll_out(rollout: Rollout, traffic: Traffic, client: AsyncClient) -> None:
    """Follow the steps of the page under traffic."""
    async with AsyncExitStack() as processes, asyncio.TaskGroup() as tasks:
        url = await processes.enter_async_context(rollout.serving())
        untouched = await register(client, url, "untouched")
        traffic.headers = await register(client, url, "busy")
        flow = tasks.create_task(traffic.flow(url))
        await rollout.migrate("index_full_name")
        rollout.change_code("with its index")
        await rollout.run("alembic check")
        await rollout.migrate("add_display_name")
        for release in (1, 2, 3):
            rollout.change_code(f"release {release}")
            newer = await processes.enter_async_context(rollout.serving())
            await traffic.go_on_with(url, newer)
            await traffic.go_on_with(newer)
            url = newer
            if release == 1:
                await rollout.run(f"python - <<'END'\n{BLOCKS['fill_display_name.py']}\nEND")
        await rollout.migrate("drop_full_name")
        await traffic.go_on_with(url)
        assert await name_of(client, url, untouched) == "untouched"
        flow.cancel()
