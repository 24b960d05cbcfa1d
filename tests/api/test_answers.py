"""What all routes answer to all kinds of callers and errors: as declared, as documented, no more.

They are asked once for all tests with the same settings, as that takes longer than most tests.
"""

import re
from typing import NamedTuple

import pytest
from fastapi import FastAPI

from app.core.config import RefreshTokenTransport, Settings
from tests.api.test_openapi import OPERATION_IDS, undocumented
from tests.api.test_openapi_for_clients import header_faults
from tests.api.test_permissions import PERMISSIONS
from tests.support.api import Api
from tests.support.cookies import OWN_ORIGIN, token_set
from tests.support.crawl import Answer, crawl
from tests.support.databases import on_sqlite
from tests.support.integer_keys import IntegerKeys
from tests.support.routes import CALLERS, routes_of

with_either_transport = pytest.mark.parametrize(
    "transport",
    [
        pytest.param(way, marks=pytest.mark.settings(REFRESH_TOKEN_TRANSPORT=way.value))
        for way in RefreshTokenTransport
    ],
)


class Crawled(NamedTuple):
    answers: list[Answer]
    keys: IntegerKeys

    @property
    def documented(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.route in OPERATION_IDS]


@pytest.fixture(scope="module")
def crawls() -> dict[str, Crawled]:
    return {}


@pytest.fixture
async def crawled(
    api: Api, settings: Settings, backend: str, crawls: dict[str, Crawled]
) -> Crawled:
    """The answers of all routes, collected by the first test on this database that asks."""
    key = f"{backend}, tokens in {settings.REFRESH_TOKEN_TRANSPORT}"
    if key not in crawls:
        api.client.headers["Origin"] = OWN_ORIGIN
        with IntegerKeys().installed() as keys:
            crawls[key] = Crawled(await crawl(api, PERMISSIONS), keys)
    return crawls[key]


def test_every_route_answers_each_caller_as_declared(crawled: Crawled) -> None:
    """AZ1."""
    found = {(a.route, a.caller): a.response.status_code for a in crawled.answers if a.caller}

    assert found == {
        (route, caller): status
        for route, statuses in PERMISSIONS.items()
        for caller, status in zip(CALLERS, statuses, strict=True)
    }


def test_no_answer_of_any_route_has_an_integer_key(crawled: Crawled) -> None:
    """AZ3: bodies, headers, tokens, cursors; answers to whoever may, may not, and errs."""
    answers, keys = crawled

    leaks = [(a.route, a.response.text) for a in answers if keys.found_in(a.response)]
    assert len(keys.given) > len(PERMISSIONS)
    assert leaks == []


@on_sqlite
@with_either_transport
def test_every_answer_is_as_documented(
    app: FastAPI, crawled: Crawled, transport: RefreshTokenTransport
) -> None:
    openapi, answers = app.openapi(), crawled.documented

    assert {answer.route for answer in answers} == OPERATION_IDS.keys()
    assert [fault for answer in answers for fault in undocumented(openapi, answer)] == []


@on_sqlite
@pytest.mark.settings(REFRESH_TOKEN_TRANSPORT="cookie")
def test_no_answer_of_any_route_has_a_refresh_token_where_the_cookie_has_it(
    app: FastAPI, crawled: Crawled
) -> None:
    """CK2."""
    assert routes_of(app) == PERMISSIONS.keys()
    answers = [answer.response for answer in crawled.answers]

    tokens = {token for answer in answers if (token := token_set(answer))}
    texts = [answer.text for answer in answers if answer.request.url.path != "/openapi.json"]
    assert len(tokens) > 3
    assert not [
        text for text in texts if "refresh_token" in re.sub("invalid_refresh_token", "", text)
    ]
    assert not [token for token in tokens if any(token in text for text in texts)]


@on_sqlite
def test_the_headers_of_answers_are_as_documented(app: FastAPI, crawled: Crawled) -> None:
    openapi, answers = app.openapi(), crawled.documented

    assert [fault for answer in answers for fault in header_faults(openapi, answer)] == []
    assert {200, 401} <= {answer.response.status_code for answer in answers}
