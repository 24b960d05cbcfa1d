"""A resource made by the recipes, and served from a database."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Client, HTTPTransport, Response

from tests.recipes.reader import READERS, Reader, follow, start
from tests.support.api import PASSWORD, bearer
from tests.support.commands import finish
from tests.support.postgres import PostgresServer
from tests.support.processes import BASE_URL, app_processes
from tests.support.project_copy import ProjectCopy

NEW_MODELS = "/api/v1/new-models"
BACKENDS = ("sqlite", "postgresql")
MIGRATE = "alembic upgrade head && alembic check"


@dataclass(frozen=True)
class Followed:
    """The project after a reader has done what the recipes say, migrated on both databases."""

    reader: Reader
    project: ProjectCopy
    urls: dict[str, str]
    outputs: dict[str, str]


@dataclass(frozen=True)
class Feature:
    """The recipes' resource, served from one of the databases by a process of its own."""

    followed: Followed
    backend: str
    client: Client
    headers: dict[str, str]

    def create(self, **body: Any) -> Response:
        return self.client.post(NEW_MODELS, json=body, headers=self.headers)


class Databases:
    """Empty databases, dropped at the end."""

    def __init__(self, server: PostgresServer, directory: Path) -> None:
        self._server = server
        self._directory = directory
        self._made: list[str] = []

    def create(self, backend: str) -> str:
        name = f"recipe_{secrets.token_hex(8)}"
        if backend == "sqlite":
            return f"sqlite+aiosqlite:///{self._directory / name}.db"
        asyncio.run(self._server.create_database(name))
        self._made.append(name)
        return self._server.url(name)

    def drop(self) -> None:
        for name in self._made:
            asyncio.run(self._server.drop_database(name))


@pytest.fixture(scope="session")
def databases(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    databases = Databases(postgres, tmp_path_factory.mktemp("databases"))
    yield databases
    databases.drop()


@pytest.fixture(scope="session", params=READERS, ids=str)
def followed(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Followed:
    reader: Reader = request.param
    project = ProjectCopy(tmp_path_factory.mktemp("recipe") / "project")
    follow(reader, project, databases.create(reader.develops_on))
    urls = {backend: databases.create(backend) for backend in BACKENDS}
    # At once: each of them takes its time.
    migrating = {backend: start(project, MIGRATE, url) for backend, url in urls.items()}
    outputs = {backend: finish(process).output for backend, process in migrating.items()}
    return Followed(reader, project, urls, outputs)


@pytest.fixture(scope="session", params=BACKENDS)
def feature(request: pytest.FixtureRequest, followed: Followed) -> Iterator[Feature]:
    """On both databases, whichever the migration was made on."""
    backend = request.param
    with (
        app_processes(1, followed.urls[backend], cwd=followed.project.path) as [process],
        Client(transport=HTTPTransport(uds=process.socket), base_url=BASE_URL) as client,
    ):
        body = {"email": "ada@example.com", "password": PASSWORD}
        tokens = client.post("/api/v1/auth/register", json=body).json()["data"]
        yield Feature(followed, backend, client, bearer(tokens["access_token"]))
