"""What all routes answer to all kinds of callers and errors: as declared, as documented, no more.

They are asked once on each database, as that takes longer than most tests.
"""

from typing import NamedTuple

import pytest
from fastapi import FastAPI

from tests.api.test_openapi import OPERATION_IDS, undocumented
from tests.api.test_openapi_for_clients import header_faults
from tests.api.test_permissions import PERMISSIONS
from tests.support.api import Api
from tests.support.crawl import Answer, crawl
from tests.support.databases import on_sqlite
from tests.support.integer_keys import IntegerKeys
from tests.support.routes import CALLERS


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
async def crawled(api: Api, backend: str, crawls: dict[str, Crawled]) -> Crawled:
    """The answers of all routes, collected by the first test on each database."""
    if backend not in crawls:
        with IntegerKeys().installed() as keys:
            crawls[backend] = Crawled(await crawl(api, PERMISSIONS), keys)
    return crawls[backend]


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
def test_every_answer_is_as_documented(app: FastAPI, crawled: Crawled) -> None:
    openapi, answers = app.openapi(), crawled.documented

    assert {answer.route for answer in answers} == OPERATION_IDS.keys()
    assert [fault for answer in answers for fault in undocumented(openapi, answer)] == []


@on_sqlite
def test_the_headers_of_answers_are_as_documented(app: FastAPI, crawled: Crawled) -> None:
    openapi, answers = app.openapi(), crawled.documented

    assert [fault for answer in answers for fault in header_faults(openapi, answer)] == []
    assert {200, 401} <= {answer.response.status_code for answer in answers}
