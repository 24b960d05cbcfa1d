"""Fixtures: a resource built by following the recipes, and the application that serves it."""

import asyncio
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Client, HTTPTransport, Response

from app.core.config import PROJECT_ROOT
from app.project import project
from mscr.testing.api import PASSWORD, bearer
from mscr.testing.postgres import PostgresServer
from mscr.testing.processes import BASE_URL, app_processes
from tests.docs.project_copy import ProjectCopy
from tests.recipes.reader import READERS, Reader, deploy, follow

NEW_MODELS = "/api/v1/new-models"
BACKENDS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Followed:
    """The project after a reader has followed the recipes, migrated on both databases."""

    reader: Reader
    project: ProjectCopy
    urls: dict[str, str]
    outputs: dict[str, str]


@dataclass(frozen=True)
class Feature:
    """The recipes' resource, served by a separate process."""

    reader: Reader
    database_url: str
    client: Client
    headers: dict[str, str]

    def create(self, **body: Any) -> Response:
        return self.client.post(NEW_MODELS, json=body, headers=self.headers)


class Databases:
    """Databases at the project's latest migration, dropped at the end."""

    def __init__(self, server: PostgresServer, templates: dict[str, str], directory: Path) -> None:
        self._server = server
        self._templates = templates
        self._directory = directory
        self._made: list[str] = []

    def create(self, backend: str) -> str:
        name, template = f"recipe_{secrets.token_hex(8)}", self._templates[backend]
        if backend == "sqlite":
            shutil.copy(template, self._directory / f"{name}.db")
            return f"sqlite+aiosqlite:///{self._directory / name}.db"
        asyncio.run(self._server.create_database(name, template=template))
        self._made.append(name)
        return self._server.url(name)

    def drop(self) -> None:
        for name in self._made:
            asyncio.run(self._server.drop_database(name))


@pytest.fixture(scope="session")
def databases(
    postgres: PostgresServer,
    sqlite_template: Path,
    postgres_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Databases]:
    templates = {"sqlite": str(sqlite_template), "postgresql": postgres_template}
    databases = Databases(postgres, templates, tmp_path_factory.mktemp("databases"))
    yield databases
    databases.drop()


@pytest.fixture(scope="session", params=READERS, ids=str)
def followed(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Followed:
    reader: Reader = request.param
    project = ProjectCopy(tmp_path_factory.mktemp("recipe") / "project", PROJECT_ROOT)
    urls = {backend: databases.create(backend) for backend in BACKENDS}
    develops = follow(reader, project, urls[reader.develops_on])
    deploys = deploy(project, urls[reader.deploys_on])
    return Followed(
        reader, project, urls, {reader.develops_on: develops, reader.deploys_on: deploys}
    )


@pytest.fixture(scope="session")
def feature(followed: Followed) -> Iterator[Feature]:
    """Serve the resource from the database on which the migration was not generated."""
    reader = followed.reader
    url = followed.urls[reader.deploys_on]
    with (
        app_processes(project, 1, url, cwd=followed.project.path) as [process],
        Client(transport=HTTPTransport(uds=process.socket), base_url=BASE_URL) as client,
    ):
        body = {"email": "ada@example.com", "password": PASSWORD}
        tokens = client.post("/api/v1/auth/register", json=body).json()["data"]
        yield Feature(reader, url, client, bearer(tokens["access_token"]))
