"""The page that shows mails in development."""

import re
from html import unescape
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from examples.catalogue.core.config import Settings as CatalogueSettings
from examples.catalogue.main import create_app
from mscr.core.settings_fields import Environment
from mscr.mail.templates import KIT_MAILS
from mscr.testing.applications import client_from
from mscr.testing.databases import on_sqlite
from mscr.testing.problems import problem

PAGE = "/docs/mails"

pytestmark = on_sqlite


async def test_every_mail_is_shown_as_html_and_as_text(client: AsyncClient) -> None:
    page = await client.get(PAGE)

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert {*re.findall(r'<h2 id="(\w+)"', page.text)} == {*KIT_MAILS}
    assert "Subject: <b>Confirm your registration at Catalogue</b>" in page.text
    frames = [unescape(each) for each in re.findall(r'srcdoc="(.*?)"', page.text, re.DOTALL)]
    assert [each[:9] for each in frames] == ["<!doctype"] * len(KIT_MAILS)
    texts = re.findall(r"<pre.*?>(.*?)</pre>", page.text, re.DOTALL)
    assert len(texts) == len(KIT_MAILS)
    for parts in (frames, texts):
        assert "#token=an-example-of-a-token" in "".join(parts)


async def test_the_page_runs_no_script_and_loads_nothing(client: AsyncClient) -> None:
    """HD1."""
    page = await client.get(PAGE)

    assert page.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    assert page.text.count("<iframe sandbox ") == page.text.count("<iframe")
    assert re.findall(r"https?://(?!127.0.0.1:8000/)|<script|@import", page.text) == []


async def test_the_page_is_not_in_openapi(app: FastAPI) -> None:
    assert [path for path in app.openapi()["paths"] if "mails" in path] == []


@pytest.mark.settings(DOCS_PATH_PREFIX="/internal")
async def test_the_page_is_below_its_prefix(client: AsyncClient) -> None:
    assert (await client.get(f"/internal{PAGE}")).status_code == 200
    problem(await client.get(PAGE), 404, "not_found")


@pytest.mark.parametrize(
    "values", [{"ENVIRONMENT": Environment.PRODUCTION}, {"DOCS_ENABLED": False}], ids=str
)
async def test_production_has_no_such_page(
    settings: CatalogueSettings, values: dict[str, Any]
) -> None:
    app = create_app(settings.model_copy(update=values))

    async with client_from("127.0.0.1", app) as client:
        problem(await client.get(PAGE), 404, "not_found")


async def test_an_application_without_mails_has_no_such_page(
    tmp_path: Path, settings: CatalogueSettings
) -> None:
    class Settings(CatalogueSettings):
        mail_templates: ClassVar[Path | None] = tmp_path / "none"

    app = create_app(Settings.model_construct(**settings.model_dump()))

    async with client_from("127.0.0.1", app) as client:
        problem(await client.get(PAGE), 404, "not_found")


async def test_a_broken_mail_is_shown_with_its_cause(
    tmp_path: Path, settings: CatalogueSettings
) -> None:
    class Settings(CatalogueSettings):
        mail_templates: ClassVar[Path | None] = tmp_path

    (tmp_path / "note.jinja").write_text("Subject\n{{ '<i>' ~ gone }}")
    app = create_app(Settings.model_construct(**settings.model_dump()))

    async with client_from("127.0.0.1", app) as client:
        page = await client.get(PAGE)

    assert f"{tmp_path}/note.jinja, line 2: &#x27;gone&#x27; is undefined" in page.text
