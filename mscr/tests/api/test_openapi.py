"""OpenAPI matches what the API does, and suits client generators."""

import pytest
from fastapi import FastAPI

from examples.catalogue.models.base import Base
from examples.catalogue.tests.api import Api
from mscr.http.dialect import Dialect
from mscr.testing.crawl import Answer
from mscr.testing.databases import on_sqlite
from mscr.testing.json_schema import Schema
from mscr.testing.openapi import header_faults
from mscr.testing.route_checks.documents import (
    key_names,
    named_schemas,
    names_a_key,
    names_of_integer_ids,
)

KEYS = key_names(Base.metadata)


def test_envelopes_have_readable_names(openapi: Schema) -> None:
    schemas = openapi["components"]["schemas"]
    assert {"ItemEnvelope", "ItemPage", "SessionListEnvelope"} <= schemas.keys()


def test_numbers_of_responses_are_found(openapi: Schema) -> None:
    assert "total" in {name for name, _ in named_schemas(openapi)}


@pytest.mark.parametrize("name", ["id", "owner_id", "owner", "item_ids", "ownerId", "pk"])
def test_names_of_keys_are_recognised(name: str) -> None:
    assert names_a_key(name, KEYS)


@pytest.mark.parametrize("name", ["quantity", "total", "width", "paid", "price"])
def test_names_of_quantities_are_not_taken_for_keys(name: str) -> None:
    assert not names_a_key(name, KEYS)


@on_sqlite
@pytest.mark.settings(RATE_LIMIT_ENABLED=True, API_RATE_LIMIT="2/minute")
async def test_the_headers_of_a_429_are_as_documented(api: Api, app: FastAPI) -> None:
    openapi = app.openapi()
    account = await api.register()
    answers = [Answer("GET /api/v1/users/me", await api.me(account.access_token)) for _ in range(3)]

    assert [answer.response.status_code for answer in answers] == [200, 200, 429]
    assert [fault for answer in answers for fault in header_faults(openapi, answer)] == []


def test_names_of_integer_ids_follow_from_the_tables_of_the_dialect() -> None:
    dialect = Dialect(integer_ids=frozenset({"comments"}))

    assert names_of_integer_ids(dialect) == {"id", "comment_id"}
    assert names_of_integer_ids(Dialect()) == set()
